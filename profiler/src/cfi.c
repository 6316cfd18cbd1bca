/* cfi.c - reads CIEs and FDEs, runs their instructions, and says in a rule what they amount to.
 *
 * Followed are the CFA, the frame pointer and the return address; all other registers are passed over. */
#include "cfi.h"

#include <string.h>

#define STATES_MAX   8     /* nested remember_state; compilers use one */
#define CIE_CODE_MAX 4096u /* run again for each FDE; compilers write some ten bytes */

/* -- reading ---------------------------------------------------------------------------------------- */

static uint64_t fail(sonde_prof__cursor *c)
{
    c->bad = true;
    c->at = c->end;
    return 0;
}

uint64_t sonde_prof__take(sonde_prof__cursor *c, unsigned bytes)
{
    uint64_t v = 0;
    unsigned i;

    if ((size_t)(c->end - c->at) < bytes)
        return fail(c);
    for (i = 0; i < bytes; i++)
        v |= (uint64_t)c->at[i] << (8 * i);
    c->at += bytes;
    return v;
}

static uint64_t take_uleb(sonde_prof__cursor *c)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        if (c->at == c->end || shift > 63)
            return fail(c);
        byte = *c->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return v;
}

static int64_t take_sleb(sonde_prof__cursor *c)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        if (c->at == c->end || shift > 63)
            return (int64_t)fail(c);
        byte = *c->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (shift < 64 && (byte & 0x40))
        v |= ~UINT64_C(0) << shift;
    return (int64_t)v;
}

static uint64_t sign_extend(uint64_t v, unsigned bits)
{
    uint64_t sign = UINT64_C(1) << (bits - 1);

    return (v ^ sign) - sign;
}

uint64_t sonde_prof__take_pointer(sonde_prof__cursor *c, const sonde_prof__image *image,
                                  uint8_t encoding, uint64_t data_base)
{
    uint64_t here = image->addr + (uint64_t)(c->at - image->bytes), v;

    switch (encoding & 0x0f) {
    case 0x00: /* absptr */
    case 0x04: /* udata8 */
    case 0x0c: /* sdata8 */
        v = sonde_prof__take(c, 8);
        break;
    case 0x01:
        v = take_uleb(c);
        break;
    case 0x02:
        v = sonde_prof__take(c, 2);
        break;
    case 0x03:
        v = sonde_prof__take(c, 4);
        break;
    case 0x09:
        v = (uint64_t)take_sleb(c);
        break;
    case 0x0a:
        v = sign_extend(sonde_prof__take(c, 2), 16);
        break;
    case 0x0b:
        v = sign_extend(sonde_prof__take(c, 4), 32);
        break;
    default:
        return fail(c);
    }
    if (v == 0)
        return 0;
    switch (encoding & 0x70) {
    case 0x00:
        return v;
    case 0x10: /* pcrel */
        return here + v;
    case 0x30: /* datarel */
        return data_base + v;
    default:
        return fail(c);
    }
}

/* -- CIE and FDE ------------------------------------------------------------------------------------ */

/* The entry at `addr`: its content behind the length, or nothing. */
static bool open_entry(const sonde_prof__image *image, uint64_t addr, sonde_prof__cursor *out)
{
    sonde_prof__cursor c;
    uint64_t len;

    if (addr < image->addr || addr - image->addr >= image->len)
        return false;
    c = (sonde_prof__cursor){ image->bytes + (addr - image->addr), image->bytes + image->len,
                              false };
    len = sonde_prof__take(&c, 4);
    if (len == 0xffffffff)
        len = sonde_prof__take(&c, 8);
    if (c.bad || len < 4 || len > (uint64_t)(c.end - c.at))
        return false;
    *out = (sonde_prof__cursor){ c.at, c.at + len, false };
    return true;
}

typedef struct cie {
    uint64_t code_align;
    int64_t data_align;
    uint8_t pointers;
    bool is_signal;
    bool has_augmentation; /* 'z' */
    const uint8_t *code, *end;
} cie;

/* The letters behind 'z', in their order; one that is not known ends the reading of its data. */
static void read_augmentation(sonde_prof__cursor *c, const sonde_prof__image *image,
                              const char *letters, cie *out)
{
    uint8_t encoding;

    for (; *letters && !c->bad; letters++)
        switch (*letters) {
        case 'R':
            out->pointers = (uint8_t)sonde_prof__take(c, 1);
            break;
        case 'L':
            (void)sonde_prof__take(c, 1);
            break;
        case 'P':
            encoding = (uint8_t)sonde_prof__take(c, 1);
            (void)sonde_prof__take_pointer(c, image, encoding & 0x7f, 0);
            break;
        case 'S':
            out->is_signal = true;
            break;
        case 'B':
            break;
        default:
            return;
        }
}

static bool read_cie(const sonde_prof__image *image, uint64_t addr, cie *out)
{
    sonde_prof__cursor c, data;
    const char *augmentation;
    const uint8_t *nul;
    uint64_t version, len;

    *out = (cie){ .pointers = 0 };
    if (!open_entry(image, addr, &c) || sonde_prof__take(&c, 4) != 0)
        return false;
    version = sonde_prof__take(&c, 1);
    nul = memchr(c.at, 0, (size_t)(c.end - c.at));
    if ((version != 1 && version != 3) || !nul)
        return false;
    augmentation = (const char *)c.at;
    c.at = nul + 1;
    out->code_align = take_uleb(&c);
    out->data_align = take_sleb(&c);
    if (version == 1)
        (void)sonde_prof__take(&c, 1); /* the return address's column: fixed on both machines */
    else
        (void)take_uleb(&c);
    if (*augmentation == 'z') {
        len = take_uleb(&c);
        if (c.bad || len > (uint64_t)(c.end - c.at))
            return false;
        data = (sonde_prof__cursor){ c.at, c.at + len, false };
        read_augmentation(&data, image, augmentation + 1, out);
        out->has_augmentation = true;
        c.at += len;
        c.bad |= data.bad;
    } else if (*augmentation) {
        return false;
    }
    out->code = c.at;
    out->end = c.end;
    return !c.bad && (size_t)(c.end - c.at) <= CIE_CODE_MAX;
}

bool sonde_prof__fde_read(const sonde_prof__image *eh_frame, uint64_t addr, sonde_prof__fde *out)
{
    sonde_prof__cursor c;
    uint64_t here, back, len;
    cie parent;

    if (!open_entry(eh_frame, addr, &c))
        return false;
    here = eh_frame->addr + (uint64_t)(c.at - eh_frame->bytes);
    back = sonde_prof__take(&c, 4);
    if (c.bad || back == 0 || !read_cie(eh_frame, here - back, &parent))
        return false;
    out->lo = sonde_prof__take_pointer(&c, eh_frame, parent.pointers, 0);
    out->hi = out->lo + sonde_prof__take_pointer(&c, eh_frame, parent.pointers & 0x0f, 0);
    if (parent.has_augmentation) {
        len = take_uleb(&c);
        if (c.bad || len > (uint64_t)(c.end - c.at))
            return false;
        c.at += len;
    }
    out->is_signal = parent.is_signal;
    out->code_align = parent.code_align;
    out->data_align = parent.data_align;
    out->cie_code = parent.code;
    out->cie_end = parent.end;
    out->fde_code = c.at;
    out->fde_end = c.end;
    out->pointers = parent.pointers;
    return !c.bad && out->lo != 0 && out->hi > out->lo;
}

/* -- running ---------------------------------------------------------------------------------------- */

enum where { SAME, AT_CFA, UNDEFINED, AT_FP, ELSEWHERE };

typedef struct place {
    enum where where;
    int64_t off;
} place;

typedef struct state {
    uint8_t cfa_kind;
    uint8_t post;
    uint64_t cfa_reg;
    int64_t cfa_off;
    place fp;
    place ra;
} state;

typedef struct run {
    const sonde_prof__fde *fde;
    sonde_prof__arch arch;
    state now;
    state initial;
    state stack[STATES_MAX];
    unsigned depth;
    uint64_t pc;
    sonde_prof__emit emit;
    void *user;
} run;

static uint64_t reg_fp(const run *r)
{
    return r->arch == SONDE_PROF__X86_64 ? 6 : 29;
}

static uint64_t reg_sp(const run *r)
{
    return r->arch == SONDE_PROF__X86_64 ? 7 : 31;
}

static uint64_t reg_ra(const run *r)
{
    return r->arch == SONDE_PROF__X86_64 ? 16 : 30;
}

static void set_place(run *r, uint64_t reg, enum where where, int64_t off)
{
    if (reg == reg_fp(r))
        r->now.fp = (place){ where, off };
    else if (reg == reg_ra(r))
        r->now.ra = (place){ where, off };
}

static void restore(run *r, uint64_t reg)
{
    if (reg == reg_fp(r))
        r->now.fp = r->initial.fp;
    else if (reg == reg_ra(r))
        r->now.ra = r->initial.ra;
}

static void set_cfa_reg(run *r, uint64_t reg)
{
    r->now.cfa_reg = reg;
    if (reg == reg_sp(r))
        r->now.cfa_kind = SONDE_PROF__CFA_SP;
    else if (reg == reg_fp(r))
        r->now.cfa_kind = SONDE_PROF__CFA_FP;
    else if (r->arch == SONDE_PROF__X86_64 && reg < 16)
        r->now.cfa_kind = (uint8_t)(SONDE_PROF__CFA_REG + reg);
    else
        r->now.cfa_kind = SONDE_PROF__CFA_INVALID;
}

/* breg7 8; breg16 0; lit15; and; litN; ge; lit3; shl; plus: an entry of a procedure linkage table. */
static bool is_plt(const uint8_t *e, size_t len, uint8_t *out_from)
{
    static const uint8_t before[] = { 0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a };
    static const uint8_t after[] = { 0x2a, 0x33, 0x24, 0x22 };

    if (len != sizeof(before) + 1 + sizeof(after) || memcmp(e, before, sizeof(before)) != 0 ||
        e[6] < 0x30 || e[6] > 0x3f || memcmp(e + 7, after, sizeof(after)) != 0)
        return false;
    *out_from = (uint8_t)(e[6] - 0x30);
    return true;
}

/* bregN off; deref; [plus_uconst n]. */
static bool is_deref(const uint8_t *e, size_t len, uint64_t *out_reg, int64_t *out_off,
                     uint8_t *out_post)
{
    sonde_prof__cursor c = { e, e + len, false };
    uint64_t op = sonde_prof__take(&c, 1), post = 0;

    if (op < 0x70 || op > 0x8f)
        return false;
    *out_reg = op - 0x70;
    *out_off = take_sleb(&c);
    if (sonde_prof__take(&c, 1) != 0x06)
        return false;
    if (!c.bad && c.at < c.end) {
        if (sonde_prof__take(&c, 1) != 0x23)
            return false;
        post = take_uleb(&c);
    }
    *out_post = (uint8_t)post;
    return !c.bad && c.at == c.end && post <= UINT8_MAX;
}

static void set_cfa_expression(run *r, const uint8_t *e, size_t len)
{
    uint64_t reg;

    r->now.post = 0;
    r->now.cfa_off = 0;
    r->now.cfa_kind = SONDE_PROF__CFA_INVALID;
    if (r->arch != SONDE_PROF__X86_64)
        return;
    if (is_plt(e, len, &r->now.post)) {
        r->now.cfa_kind = SONDE_PROF__CFA_PLT;
    } else if (is_deref(e, len, &reg, &r->now.cfa_off, &r->now.post)) {
        if (reg == 7)
            r->now.cfa_kind = SONDE_PROF__CFA_SP_DEREF;
        else if (reg == 6)
            r->now.cfa_kind = SONDE_PROF__CFA_FP_DEREF;
    }
}

/* DW_CFA_expression: only "at FP + off" is known. */
static void set_expression(run *r, uint64_t reg, const uint8_t *e, size_t len)
{
    sonde_prof__cursor c = { e, e + len, false };
    uint64_t op = sonde_prof__take(&c, 1);
    int64_t off = take_sleb(&c);
    bool at_fp = op == 0x70 + reg_fp(r) && !c.bad && c.at == c.end;

    set_place(r, reg, at_fp ? AT_FP : ELSEWHERE, off);
}

static bool fits(int64_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

static const sonde_prof__rule invalid = {
    0, 0, SONDE_PROF__CFA_INVALID, SONDE_PROF__AUX_UNDEF, 0, 0
};
static const sonde_prof__rule stop = { 0, 0, SONDE_PROF__CFA_STOP, SONDE_PROF__AUX_UNDEF, 0, 0 };

static uint8_t aux_of(place p)
{
    switch (p.where) {
    case AT_CFA:
        return SONDE_PROF__AUX_AT_CFA;
    case AT_FP:
        return SONDE_PROF__AUX_AT_FP;
    case UNDEFINED:
        return SONDE_PROF__AUX_UNDEF;
    case SAME:
    case ELSEWHERE:
        break;
    }
    return SONDE_PROF__AUX_SAME;
}

/* x86-64: the return address is just below the CFA, or there is none. */
static sonde_prof__rule x86_rule(const state *s)
{
    sonde_prof__rule rule = {
        (int32_t)s->cfa_off, (int32_t)s->fp.off, s->cfa_kind, aux_of(s->fp), s->post, 0
    };

    if (s->ra.where == UNDEFINED)
        return stop;
    if (s->ra.where != AT_CFA || s->ra.off != -8 || s->fp.where == ELSEWHERE)
        return invalid;
    if (s->cfa_kind == SONDE_PROF__CFA_SP && s->cfa_off < 8)
        return stop; /* popped already: the child's end of clone() */
    if (rule.aux_kind == SONDE_PROF__AUX_SAME || rule.aux_kind == SONDE_PROF__AUX_UNDEF)
        rule.aux_off = 0;
    if (s->cfa_kind >= SONDE_PROF__CFA_REG)
        rule.flags = SONDE_PROF__LEAF_ONLY;
    return rule;
}

/* aarch64: the return address is in x30 or in the frame, the frame pointer below it. */
static sonde_prof__rule arm_rule(const state *s)
{
    sonde_prof__rule rule = {
        (int32_t)s->cfa_off, (int32_t)s->ra.off, s->cfa_kind, aux_of(s->ra), 0, 0
    };

    if (s->ra.where == UNDEFINED)
        return stop;
    if (s->ra.where == ELSEWHERE || s->ra.where == AT_FP ||
        (s->cfa_kind != SONDE_PROF__CFA_SP && s->cfa_kind != SONDE_PROF__CFA_FP))
        return invalid;
    if (rule.aux_kind == SONDE_PROF__AUX_SAME)
        rule.aux_off = 0;
    if (s->fp.where == AT_CFA) {
        if (s->ra.where != AT_CFA || s->fp.off != s->ra.off - 8)
            return invalid;
        rule.flags = SONDE_PROF__FP_BELOW_RA;
    }
    return rule;
}

static bool emit(run *r)
{
    const state *s = &r->now;
    sonde_prof__rule rule;

    if (s->cfa_kind == SONDE_PROF__CFA_INVALID || !fits(s->cfa_off) || !fits(s->fp.off) ||
        !fits(s->ra.off))
        rule = s->ra.where == UNDEFINED ? stop : invalid;
    else
        rule = r->arch == SONDE_PROF__X86_64 ? x86_rule(s) : arm_rule(s);
    return r->emit(r->user, r->pc, &rule);
}

/* Rules up to here hold until `pc`.  Beyond the end nothing holds. */
static bool advance(run *r, uint64_t pc)
{
    if (pc < r->pc || pc > r->fde->hi)
        return false;
    if (pc == r->pc)
        return true;
    if (!emit(r))
        return false;
    r->pc = pc;
    return true;
}

static bool step(run *r, uint64_t delta)
{
    return delta <= UINT32_MAX && advance(r, r->pc + delta * r->fde->code_align);
}

static bool take_block(sonde_prof__cursor *c, const uint8_t **out, size_t *out_len)
{
    uint64_t len = take_uleb(c);

    if (c->bad || len > (uint64_t)(c->end - c->at))
        return false;
    *out = c->at;
    *out_len = (size_t)len;
    c->at += len;
    return true;
}

static int64_t factored(const run *r, uint64_t n)
{
    return (int64_t)(n * (uint64_t)r->fde->data_align);
}

/* The instructions that set a rule for a register, or the CFA, and move nothing. */
static bool run_rule(run *r, sonde_prof__cursor *c, uint8_t op)
{
    const uint8_t *block;
    uint64_t reg;
    size_t len;

    switch (op) {
    case 0x05: /* offset_extended */
        reg = take_uleb(c);
        set_place(r, reg, AT_CFA, factored(r, take_uleb(c)));
        return true;
    case 0x11: /* offset_extended_sf */
        reg = take_uleb(c);
        set_place(r, reg, AT_CFA, factored(r, (uint64_t)take_sleb(c)));
        return true;
    case 0x06: /* restore_extended */
        restore(r, take_uleb(c));
        return true;
    case 0x07: /* undefined */
        set_place(r, take_uleb(c), UNDEFINED, 0);
        return true;
    case 0x08: /* same_value */
        set_place(r, take_uleb(c), SAME, 0);
        return true;
    case 0x09: /* register */
        reg = take_uleb(c);
        (void)take_uleb(c);
        set_place(r, reg, ELSEWHERE, 0);
        return true;
    case 0x10: /* expression */
        reg = take_uleb(c);
        if (!take_block(c, &block, &len))
            return false;
        set_expression(r, reg, block, len);
        return true;
    case 0x14: /* val_offset */
        reg = take_uleb(c);
        (void)take_uleb(c);
        set_place(r, reg, ELSEWHERE, 0);
        return true;
    case 0x15: /* val_offset_sf */
        reg = take_uleb(c);
        (void)take_sleb(c);
        set_place(r, reg, ELSEWHERE, 0);
        return true;
    case 0x16: /* val_expression */
        reg = take_uleb(c);
        if (!take_block(c, &block, &len))
            return false;
        set_place(r, reg, ELSEWHERE, 0);
        return true;
    default:
        return false;
    }
}

static bool run_cfa(run *r, sonde_prof__cursor *c, uint8_t op)
{
    const uint8_t *block;
    size_t len;

    switch (op) {
    case 0x0c: /* def_cfa */
        set_cfa_reg(r, take_uleb(c));
        r->now.cfa_off = (int64_t)take_uleb(c);
        return true;
    case 0x12: /* def_cfa_sf */
        set_cfa_reg(r, take_uleb(c));
        r->now.cfa_off = factored(r, (uint64_t)take_sleb(c));
        return true;
    case 0x0d: /* def_cfa_register */
        set_cfa_reg(r, take_uleb(c));
        return true;
    case 0x0e: /* def_cfa_offset */
        r->now.cfa_off = (int64_t)take_uleb(c);
        return true;
    case 0x13: /* def_cfa_offset_sf */
        r->now.cfa_off = factored(r, (uint64_t)take_sleb(c));
        return true;
    case 0x0f: /* def_cfa_expression */
        if (!take_block(c, &block, &len))
            return false;
        set_cfa_expression(r, block, len);
        return true;
    default:
        return run_rule(r, c, op);
    }
}

static bool run_extended(run *r, sonde_prof__cursor *c, uint8_t op)
{
    const sonde_prof__image flat = { r->fde->fde_code, 0, 0 };

    switch (op) {
    case 0x00: /* nop */
    case 0x2c: /* negate_ra_state_with_pc */
    case 0x2d: /* negate_ra_state: the signature is taken off in any case */
        return true;
    case 0x01: /* set_loc; only in absolute form, which is all that compilers write */
        return advance(r, sonde_prof__take_pointer(c, &flat, r->fde->pointers & 0x0f, 0));
    case 0x02:
        return step(r, sonde_prof__take(c, 1));
    case 0x03:
        return step(r, sonde_prof__take(c, 2));
    case 0x04:
        return step(r, sonde_prof__take(c, 4));
    case 0x0a: /* remember_state */
        if (r->depth == STATES_MAX)
            return false;
        r->stack[r->depth++] = r->now;
        return true;
    case 0x0b: /* restore_state */
        if (r->depth == 0)
            return false;
        r->now = r->stack[--r->depth];
        return true;
    case 0x2e: /* GNU_args_size */
        (void)take_uleb(c);
        return true;
    default:
        return run_cfa(r, c, op);
    }
}

static bool run_code(run *r, const uint8_t *code, const uint8_t *end)
{
    sonde_prof__cursor c = { code, end, false };
    bool ok = true;

    while (ok && !c.bad && c.at < c.end) {
        uint8_t op = *c.at++, low = op & 0x3f;

        switch (op & 0xc0) {
        case 0x40:
            ok = step(r, low);
            break;
        case 0x80:
            set_place(r, low, AT_CFA, factored(r, take_uleb(&c)));
            break;
        case 0xc0:
            restore(r, low);
            break;
        default:
            ok = run_extended(r, &c, op);
            break;
        }
    }
    return ok && !c.bad;
}

bool sonde_prof__fde_run(const sonde_prof__fde *fde, sonde_prof__arch arch,
                         sonde_prof__emit emit_to, void *user)
{
    run r = { .fde = fde,
              .arch = arch,
              .now = { .cfa_kind = SONDE_PROF__CFA_INVALID },
              .pc = fde->lo,
              .emit = emit_to,
              .user = user };

    if (!run_code(&r, fde->cie_code, fde->cie_end) || r.pc != fde->lo)
        return false;
    r.initial = r.now;
    return run_code(&r, fde->fde_code, fde->fde_end) && r.pc < fde->hi && emit(&r);
}
