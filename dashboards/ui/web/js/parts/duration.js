// parts/duration.js - a duration with its unit set apart, so that a column of them can be compared at a glance.

import { html } from '../../vendor/preact.js';
import { durationParts } from '../lib/format.js';

export function Duration({ ns }) {
  const [number, unit] = durationParts(ns);
  return html`${number}<span class="unit">${unit}</span>`;
}
