/* agent/profiles/flame_page.h - flame.html as bytes: made at build time (cmake/SondeEmbedText.cmake). */
#ifndef SONDE_AGENT_PROFILES_FLAME_PAGE_H
#define SONDE_AGENT_PROFILES_FLAME_PAGE_H

#include <stddef.h>

extern const unsigned char flame_page[];
extern const size_t flame_page_len;

#endif /* SONDE_AGENT_PROFILES_FLAME_PAGE_H */
