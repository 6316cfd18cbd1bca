/* sonde/export.h - marks what the libraries export, and what a caller must not ignore. */
#ifndef SONDE_EXPORT_H
#define SONDE_EXPORT_H

#define SONDE_API                __attribute__((visibility("default")))
#define SONDE_MUST_USE           __attribute__((warn_unused_result))
#define SONDE_DEPRECATED(text)   __attribute__((deprecated(text)))
#define SONDE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* A definition in a header of a function that the library has as well: only ever inlined. */
#define SONDE_INLINE extern inline __attribute__((gnu_inline, always_inline))

#endif /* SONDE_EXPORT_H */
