/* loaded.h - unwind tables of everything this program has loaded, for tests. */
#ifndef SONDE_TESTS_PROFILER_LOADED_H
#define SONDE_TESTS_PROFILER_LOADED_H

#include <elf.h>
#include <link.h>
#include <stdlib.h>

#include "profiler/src/unwind.h"
#include "profiler/src/unwind_build.h"

#define LOADED_MAX 64

typedef struct loaded {
    const sonde_prof__table *tables[LOADED_MAX];
    sonde_prof__map map;
} loaded;

#if defined(__x86_64__)
#    define LOADED_ARCH SONDE_PROF__X86_64
#else
#    define LOADED_ARCH SONDE_PROF__AARCH64
#endif

static int loaded_object(struct dl_phdr_info *info, size_t size, void *user)
{
    sonde_prof__object o = { .arch = LOADED_ARCH, .text_lo = UINT64_MAX };
    loaded *l = user;
    sonde_prof__table *t;
    uint64_t at = 0;
    int i;

    (void)size;
    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uint64_t lo = info->dlpi_addr + p->p_vaddr;

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) {
            o.text_lo = lo < o.text_lo ? lo : o.text_lo;
            o.text_hi = lo + p->p_memsz > o.text_hi ? lo + p->p_memsz : o.text_hi;
        }
        if (p->p_type == PT_GNU_EH_FRAME)
            o.hdr = (sonde_prof__image){ (const uint8_t *)(uintptr_t)lo, p->p_memsz, lo };
    }
    at = sonde_prof__eh_frame_addr(&o.hdr);
    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uint64_t lo = info->dlpi_addr + p->p_vaddr, hi = lo + p->p_memsz;

        if (p->p_type == PT_LOAD && at >= lo && at < hi)
            o.eh_frame = (sonde_prof__image){ (const uint8_t *)(uintptr_t)at, hi - at, at };
    }
    if (l->map.len < LOADED_MAX && sonde_prof__table_build(&o, &t) == SONDE_OK)
        l->tables[l->map.len++] = t;
    return 0;
}

static int loaded_by_text(const void *a, const void *b)
{
    const sonde_prof__table *x = *(const sonde_prof__table *const *)a;
    const sonde_prof__table *y = *(const sonde_prof__table *const *)b;

    return (x->text_lo > y->text_lo) - (x->text_lo < y->text_lo);
}

static void loaded_read(loaded *l)
{
    l->map = (sonde_prof__map){ 0, l->tables };
    (void)dl_iterate_phdr(loaded_object, l);
    qsort((void *)l->tables, l->map.len, sizeof(l->tables[0]), loaded_by_text);
}

static void loaded_free(loaded *l)
{
    uint32_t i;

    for (i = 0; i < l->map.len; i++)
        sonde_prof__table_free((sonde_prof__table *)(uintptr_t)l->tables[i]);
}

#endif /* SONDE_TESTS_PROFILER_LOADED_H */
