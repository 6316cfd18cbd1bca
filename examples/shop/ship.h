/* ship.h - ships orders on a thread of its own, as part of the trace that placed them. */
#ifndef SHOP_SHIP_H
#define SHOP_SHIP_H

#include <stdint.h>

int ship_start(void);           /* 0 or -1 */
void ship_later(int64_t order); /* at most 256 wait; beyond, the caller ships itself */
void ship_stop(void); /* ships what waits, then ends the thread; harmless when not started */

#endif /* SHOP_SHIP_H */
