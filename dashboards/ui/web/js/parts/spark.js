// parts/spark.js - hits over time as small bars, the failed share in red at the foot.

import { html } from '../../vendor/preact.js';
import { count } from '../lib/format.js';

const WIDTH = 168,
  HEIGHT = 24;

export function Spark({ spark }) {
  const { hits, errors } = spark;
  const most = Math.max(1, ...hits);
  const w = WIDTH / Math.max(1, hits.length);
  const bar = (n, i, name) => {
    const h = n === 0 ? 0 : Math.max(1, (n / most) * HEIGHT);
    return (
      n > 0 &&
      html`<rect class=${name} x=${(i * w).toFixed(2)} y=${(HEIGHT - h).toFixed(2)}
        width=${Math.max(0.5, w - (w > 3 ? 1 : 0.2)).toFixed(2)} height=${h.toFixed(2)} />`
    );
  };
  return html`<svg class="spark" width=${WIDTH} height=${HEIGHT} role="img"
    aria-label=${`up to ${count(most)} requests per ${spark.step_s} s`}>
    ${hits.map((n, i) => bar(n, i, 'hit'))}${errors.map((n, i) => bar(n, i, 'bad'))}
  </svg>`;
}
