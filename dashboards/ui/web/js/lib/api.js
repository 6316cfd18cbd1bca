// lib/api.js - asks the intake's API and turns every failure into a sentence.

import { useEffect, useState } from '../../vendor/preact.js';

const BASE = '/api/sonde/v1/';

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function get(path, params = {}, signal = undefined) {
  const kept = Object.entries(params).filter(([, v]) => v !== '' && v !== undefined && v !== null);
  const url = `${BASE}${path}?${new URLSearchParams(kept)}`;
  let response;
  try {
    response = await fetch(url, { signal, headers: { accept: 'application/json' } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('the intake does not answer: is sonde still running?', 0);
  }
  const body = await response.json().catch(() => null);
  if (!response.ok)
    throw new ApiError(
      body?.errors?.join('; ') ?? `the intake answered ${response.status} ${response.statusText}`,
      response.status,
    );
  if (body === null) throw new ApiError('the answer of the intake is not JSON', response.status);
  return body;
}

// Loads `path` whenever it, its parameters or `tick` change; keeps what is shown until the new answer is there.
// A null path loads nothing.
export function useApi(path, params, tick = 0) {
  const key = path === null ? null : `${path}?${new URLSearchParams(params)}`;
  const [state, setState] = useState({ key: null, data: null, error: null });
  const [loading, setLoading] = useState(false);

  useEffect(() => {
    if (key === null) return undefined;
    const stop = new AbortController();
    setLoading(true);
    get(path, params, stop.signal).then(
      (data) => {
        setState({ key, data, error: null });
        setLoading(false);
      },
      (error) => {
        if (error.name === 'AbortError') return;
        setState((old) => ({ key, data: old.key === key ? old.data : null, error }));
        setLoading(false);
      },
    );
    return () => stop.abort();
  }, [key, tick]);
  return { ...state, loading };
}

// Counts up every `ms` while `on` and the page can be seen.
export function useTick(on, ms = 5000) {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) setTick((n) => n + 1);
    }, ms);
    return () => clearInterval(timer);
  }, [on, ms]);
  return [tick, () => setTick((n) => n + 1)];
}
