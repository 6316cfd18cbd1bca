/* got_object.c - for test_got.c, an object for each way to link: with TARGET it defines got_target(), which returns that;
 * without, it calls got_target() in all ways there are. */
int got_target(void);
int got_call(void);
int got_call_by_pointer(void);
int got_call_by_table(void);

#if defined(TARGET)
int got_target(void)
{
    return TARGET;
}
#else
int got_call(void)
{
    return got_target();
}
#endif

/* With these in it, a linker needs no slot that may be bound later. */
#if !defined(TARGET) && !defined(ONLY_CALLS)
extern int (*const got_table[])(void);
int (*const got_table[])(void) = { got_target };

int got_call_by_pointer(void)
{
    int (*volatile pointer)(void) = got_target;

    return pointer();
}

int got_call_by_table(void)
{
    int (*const volatile *first)(void) = got_table;

    return (*first)();
}
#endif
