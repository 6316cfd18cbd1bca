/* fake_maps.h - the objects this program has loaded, read once, in place of maps.c; for tests of what walks stacks. */
#ifndef SONDE_TESTS_PROFILER_FAKE_MAPS_H
#define SONDE_TESTS_PROFILER_FAKE_MAPS_H

#include "profiler/src/maps.h"

#include "loaded.h"

static loaded fake_maps;

void sonde_prof__maps_enter(void)
{
}

void sonde_prof__maps_leave(void)
{
}

void sonde_prof__maps_missed(void)
{
}

const sonde_prof__map *sonde_prof__maps_current(void)
{
    return fake_maps.map.len ? &fake_maps.map : NULL;
}

#endif /* SONDE_TESTS_PROFILER_FAKE_MAPS_H */
