/* sonde/export.h - marks what the libraries export, and what a caller must not ignore. */
#ifndef SONDE_EXPORT_H
#define SONDE_EXPORT_H

#define SONDE_API                __attribute__((visibility("default")))
#define SONDE_MUST_USE           __attribute__((warn_unused_result))
#define SONDE_DEPRECATED(text)   __attribute__((deprecated(text)))
#define SONDE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#endif /* SONDE_EXPORT_H */
