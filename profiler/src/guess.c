/* guess.c - how a function begins; pairs on the stack, and what was called in front of them. */
#include "guess.h"

#include <string.h>

#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#define REACH_BYTES 16384u
#define FRAME_MAX   (UINT64_C(8) << 20)
#define BEGIN_BYTES 64u                       /* of a function, that are read */
#define CODE_MASK   ((UINT64_C(1) << 48) - 1) /* signed code pointers have something above */
#define HDR_ENCODED 0x3b031b01u               /* version 1; the encodings every linker uses */

/* Other threads' memory, or an object's that may go: never read directly. */
static bool peek(uint64_t at, void *to, size_t bytes)
{
    struct iovec local = { to, bytes }, remote = { (void *)(uintptr_t)at, bytes };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

static bool load(const sonde_prof__guess *g, uint64_t at, uint64_t *out)
{
    if (!g->stack.copy || at < g->stack.lo || at > g->stack.hi - sizeof(*out))
        return peek(at, out, sizeof(*out));
    memcpy(out, g->stack.copy + (at - g->stack.lo), sizeof(*out));
    return true;
}

/* -- functions -------------------------------------------------------------------------------------- */

#ifdef DLFO_STRUCT_HAS_EH_DBASE /* glibc 2.35 */

/* One row of .eh_frame_hdr; both are relative to it. */
typedef struct hdr_row {
    int32_t function;
    int32_t fde;
} hdr_row;

static uint64_t last_not_above(uint64_t hdr, uint32_t rows, uint64_t pc)
{
    uint64_t best = 0;
    uint32_t first = 0, last = rows;

    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        hdr_row row;

        if (!peek(hdr + 12 + (uint64_t)middle * sizeof(row), &row, sizeof(row)))
            return 0;
        if (hdr + (uint64_t)(int64_t)row.function > pc) {
            last = middle;
        } else {
            best = hdr + (uint64_t)(int64_t)row.function;
            first = middle + 1;
        }
    }
    return best;
}

/* Where the function of `pc` begins; 0: not known. */
static uint64_t function_of(uint64_t pc)
{
    struct dl_find_object found;
    uint32_t head[3];

    if (_dl_find_object((void *)(uintptr_t)pc, &found) != 0 || !found.dlfo_eh_frame ||
        !peek((uint64_t)(uintptr_t)found.dlfo_eh_frame, head, sizeof(head)) ||
        head[0] != HDR_ENCODED)
        return 0;
    return last_not_above((uint64_t)(uintptr_t)found.dlfo_eh_frame, head[2], pc);
}

#else

static uint64_t function_of(uint64_t pc)
{
    (void)pc;
    return 0;
}

#endif

/* -- calls ------------------------------------------------------------------------------------------ */

typedef enum call {
    NO_CALL,
    DIRECT_CALL, /* `target` */
    INDIRECT_CALL,
} call;

#if defined(__x86_64__)

/* [endbr64] [bnd] jmp *slot(%rip): where a call through the PLT ends. */
static uint64_t behind_plt(uint64_t target)
{
    uint8_t code[16];
    uint64_t to;
    int32_t slot;
    size_t i = 0;

    if (!peek(target, code, sizeof(code)))
        return target;
    if (memcmp(code, "\xf3\x0f\x1e\xfa", 4) == 0)
        i += 4;
    if (code[i] == 0xf2)
        i++;
    if (code[i] != 0xff || code[i + 1] != 0x25)
        return target;
    memcpy(&slot, code + i + 2, sizeof(slot));
    return peek(target + i + 6 + (uint64_t)(int64_t)slot, &to, sizeof(to)) ? to : target;
}

static call call_before(uint64_t ra, uint64_t *target)
{
    uint8_t code[8];
    int32_t distance;
    size_t k;

    if (!peek(ra - sizeof(code), code, sizeof(code)))
        return NO_CALL;
    if (code[3] == 0xe8) {
        memcpy(&distance, code + 4, sizeof(distance));
        *target = behind_plt(ra + (uint64_t)(int64_t)distance);
        return DIRECT_CALL;
    }
    if (code[2] == 0xff && code[3] == 0x15) { /* call *slot(%rip) */
        memcpy(&distance, code + 4, sizeof(distance));
        if (peek(ra + (uint64_t)(int64_t)distance, target, sizeof(*target)))
            return DIRECT_CALL;
    }
    for (k = 2; k <= 7; k++)
        if (code[8 - k] == 0xff && (code[9 - k] >> 3 & 7) == 2)
            return INDIRECT_CALL;
    return NO_CALL;
}

#else

static call call_before(uint64_t ra, uint64_t *target)
{
    uint32_t code;

    if (!peek(ra - sizeof(code), &code, sizeof(code)))
        return NO_CALL;
    if (code >> 26 == 0x25) { /* bl: 26 bits, signed, in instructions */
        *target = ra - 4 + (uint64_t)((int64_t)((uint64_t)code << 38) >> 36);
        return DIRECT_CALL;
    }
    return (code & 0xfffffc1fu) == 0xd63f0000u ? INDIRECT_CALL : NO_CALL;
}

#endif

/* -- beginnings ------------------------------------------------------------------------------------- */

#if defined(__x86_64__)

/* What follows an opcode: ModRM, and what that says. */
static size_t operand_bytes(const uint8_t *at)
{
    uint8_t mod = at[0] >> 6, rm = at[0] & 7;
    size_t n = 1;

    if (mod == 3)
        return n;
    if (rm == 4) {
        n++;
        rm = at[1] & 7;
    }
    if (mod == 0)
        return rm == 5 ? n + 4 : n;
    return mod == 1 ? n + 1 : n + 4;
}

/* The bytes of a mov, lea, xor or test; 0: something else. */
static size_t plain_bytes(const uint8_t *code)
{
    size_t n = code[0] == 0x64; /* %fs: */
    bool is_wide = false;

    if ((code[n] & 0xf0) == 0x40)
        is_wide = code[n++] >= 0x48;
    if ((code[n] & 0xf8) == 0xb8)
        return n + (is_wide ? 9 : 5);
    if (code[n] == 0xc7)
        return n + 1 + operand_bytes(code + n + 1) + 4;
    return memchr("\x89\x8b\x8d\x31\x33\x85", code[n], 6) ? n + 1 + operand_bytes(code + n + 1) : 0;
}

/* The bytes of a push, and 8 more of the frame; of a sub from SP, and what it takes, which is the last; or 0. */
static size_t taking_bytes(const uint8_t *code, uint64_t *below, bool *is_last)
{
    size_t rex = (code[0] & 0xf0) == 0x40;
    int32_t taken;

    if ((code[rex] & 0xf8) == 0x50) {
        *below += 8;
        return rex + 1;
    }
    if (memcmp(code, "\x48\x83\xec", 3) == 0)
        taken = (int8_t)code[3];
    else if (memcmp(code, "\x48\x81\xec", 3) == 0)
        memcpy(&taken, code + 3, sizeof(taken));
    else
        return 0;
    *below += (uint64_t)(int64_t)taken;
    *is_last = true;
    return 4;
}

/* How far below its FP the function keeps SP, by how it begins: push %rbp; mov %rsp, %rbp; pushes, a sub; and moves
 * between them.  Where SP is aligned or moves later there is no pair at what this says, and others are looked for. */
static bool below_fp(uint64_t function, uint64_t *out)
{
    uint8_t code[BEGIN_BYTES + 16] = { 0 };
    bool is_kept = false, is_last = false;
    size_t i = 0, n;

    if (!peek(function, code, BEGIN_BYTES))
        return false;
    if (memcmp(code, "\xf3\x0f\x1e\xfa", 4) == 0)
        i = 4;
    for (*out = 0; i < BEGIN_BYTES && !is_last; i += n) {
        n = taking_bytes(code + i, out, &is_last);
        if (memcmp(code + i, "\x48\x89\xe5", 3) == 0 || memcmp(code + i, "\x48\x8b\xec", 3) == 0) {
            if (*out != 8)
                return false; /* another push in front of it: no pair */
            *out = 0;
            is_kept = true;
        }
        if (n == 0)
            n = plain_bytes(code + i);
        if (n == 0)
            break;
    }
    return is_kept && *out <= FRAME_MAX;
}

#else /* keeps the pair where SP is, and is told by SP in nearly all rows */

static bool below_fp(uint64_t function, uint64_t *out)
{
    (void)function;
    (void)out;
    return false;
}

#endif

/* -- pairs ------------------------------------------------------------------------------------------ */

/* As the caller's frame pointer would be, if it has one. */
static bool is_fp(uint64_t fp, uint64_t at)
{
    return fp > at && fp <= at + FRAME_MAX && fp % 8 == 0;
}

static call call_at(const sonde_prof__guess *g, const sonde_prof__map *map, uint64_t at,
                    uint64_t *target)
{
    uint64_t ra;

    if (!load(g, at + 8, &ra))
        return NO_CALL;
    ra &= CODE_MASK;
    return sonde_prof__map_find(map, ra - 1) ? call_before(ra, target) : NO_CALL;
}

/* The first pair that may be the function's, going up from SP; 0: none. */
static uint64_t pair_above(const sonde_prof__guess *g, const sonde_prof__map *map,
                           uint64_t function, uint64_t sp)
{
    uint64_t at, fp, target = 0, any = 0, indirect = 0;

    for (at = (sp + 7) & ~UINT64_C(7); at < sp + REACH_BYTES; at += 8) {
        call found = call_at(g, map, at, &target);

        if (found == DIRECT_CALL && target == function)
            return at; /* whatever its caller had in that register */
        if (found == NO_CALL || !load(g, at, &fp) || !is_fp(fp, at))
            continue;
        if (any == 0)
            any = at;
        if (found == INDIRECT_CALL && indirect == 0)
            indirect = at;
        if (function == 0)
            return at;
    }
    return indirect ? indirect : any;
}

bool sonde_prof__guess_fp(sonde_prof__guess *g, const sonde_prof__map *map, uint64_t pc,
                          uint64_t sp, uint64_t *out_fp)
{
    uint64_t function = function_of(pc), below, target, at;

    if (function != 0 && below_fp(function, &below) &&
        call_at(g, map, sp + below, &target) != NO_CALL)
        at = sp + below;
    else
        at = pair_above(g, map, function, sp);
    if (at == 0)
        return false;
    *out_fp = at;
    g->found++;
    return true;
}
