// screens/profiles.js - what a service spends its time and memory on: flame graph of all its profiles in the time range.

import { html, useEffect, useMemo, useState } from '../../vendor/preact.js';
import { useApi, useTick } from '../lib/api.js';
import { amount, buildFlame, findFrames, weighMatches } from '../lib/flame.js';
import { count, percent } from '../lib/format.js';
import { rangeOf } from '../lib/range.js';
import { patch } from '../lib/router.js';
import { FlameGraph } from '../parts/flamegraph.js';
import { Failure, NoProfiles, Progress } from '../parts/notice.js';

function Picker({ name, value, items, onPick, all }) {
  if (items.length === 0 && !value) return null;
  const listed = items.some((i) => i.name === value) || !value;
  return html`<select aria-label=${name} value=${value} onChange=${(e) => onPick(e.target.value)}>
    ${all && html`<option value="">${all}</option>`}
    ${!listed && html`<option value=${value}>${value}</option>`}
    ${items.map((i) => html`<option value=${i.name}>${i.label ?? i.name}</option>`)}
  </select>`;
}

function Head({ list, answer, service, params }) {
  const names = [...new Set(list.services.map((s) => s.service))].sort();
  const types = list.types ?? [];
  return html`<div class="head">
    <h1>Profiles</h1>
    <${Picker} name="service" value=${service} items=${names.map((name) => ({ name }))}
      onPick=${(v) => patch({ service: v, type: '', focus: '' }, {})} />
    <${Picker} name="sample type" value=${answer?.type ?? params.type ?? ''}
      items=${types.map((t) => ({ name: t.type }))} onPick=${(v) => patch({ type: v }, {})} />
    <span class="grow"></span>
    ${
      answer &&
      html`<span class="dim"><b>${amount(answer.total, answer.unit)}</b> in ${count(answer.samples)} samples of${' '}
      ${count(answer.profiles)} ${answer.profiles === 1 ? 'profile' : 'profiles'}</span>`
    }
  </div>`;
}

function Tools({ answer, flame, found, params, text, setText, zoomed, reset }) {
  const share = found && flame.total ? weighMatches(flame, found) / flame.total : 0;
  const keyed = (keys) => keys.map((k) => ({ name: k.name }));
  return html`<div class="tools">
    <input type="search" placeholder="find functions (regex)" aria-label="find functions"
      value=${text} onInput=${(e) => setText(e.target.value)} />
    <span class="count" role="status">${found ? (found.size ? `${percent(share)}\u202f%` : 'no match') : ''}</span>
    <span class="grow"></span>
    <${Picker} name="thread" all="all threads" value=${params.thread ?? ''}
      items=${keyed(answer.threads)} onPick=${(v) => patch({ thread: v }, {})} />
    <${Picker} name="endpoint" all="all endpoints" value=${params.endpoint ?? ''}
      items=${keyed(answer.endpoints)} onPick=${(v) => patch({ endpoint: v }, {})} />
    <button aria-pressed=${params.inverted === '1'} title="callers below what they call"
      onClick=${() => patch({ inverted: params.inverted === '1' ? '' : '1' }, {})}>Inverted</button>
    <button disabled=${!zoomed} onClick=${reset} title="0">Reset zoom</button>
  </div>`;
}

function View({ answer, params }) {
  const flame = useMemo(() => buildFlame(answer), [answer]);
  const [text, setText] = useState(params.find ?? '');
  const [zoom, setZoom] = useState(flame.root);
  const [selected, setSelected] = useState(null);
  useEffect(() => {
    setZoom(flame.root);
    setSelected(null);
  }, [flame]);
  const found = useMemo(() => findFrames(flame, text), [flame, text]);
  const at = flame.nodes[zoom.id] === zoom ? zoom : flame.root; // of this answer, not the one before
  return html`
    <${Tools} answer=${answer} flame=${flame} found=${found} params=${params} text=${text}
      setText=${setText} zoomed=${at !== flame.root} reset=${() => setZoom(flame.root)} />
    ${
      answer.timed_out &&
      html`<div class="alert">There are more profiles than could be merged in time: the latest are shown.</div>`
    }
    <${FlameGraph} flame=${flame} unit=${answer.unit} found=${found} zoom=${at} onZoom=${setZoom}
      selected=${selected} onPick=${setSelected} />`;
}

export default function Profiles({ params }) {
  const { from, to } = rangeOf(params);
  const [tick, again] = useTick(params.live === '1');
  const range = { from, to, env: params.env ?? '' };
  const list = useApi('profiles', { ...range, limit: 1 }, tick);
  const services = list.data?.services ?? [];
  const service = params.service ?? services[0]?.service ?? '';
  const query = {
    ...range,
    service,
    type: params.type ?? '',
    thread: params.thread ?? '',
    endpoint: params.endpoint ?? '',
    inverted: params.inverted ?? '',
  };
  const { data: answer, error, loading } = useApi(service ? 'profiles/flamegraph' : null, query, tick);
  const failed = list.error ?? error;
  return html`
    <${Progress} on=${(loading || list.loading) && params.live !== '1'} />
    ${failed && html`<${Failure} error=${failed} retry=${again} />`}
    ${list.data && service && html`<${Head} list=${{ ...list.data, types: answer?.types }} answer=${answer} service=${service} params=${params} />`}
    ${answer && answer.total > 0 && html`<${View} answer=${answer} params=${params} />`}
    ${
      list.data &&
      !failed &&
      (!service || (answer && answer.total === 0)) &&
      html`<${NoProfiles} any=${services.length > 0} widen=${() => patch({ from: 'now-2d', to: '', env: '' })} />`
    }`;
}
