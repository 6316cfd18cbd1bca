// lib/walk.js - walking through the tree of a trace: what is selected, what is folded, where the next one is.
// Both are kept by span id, so that they survive when more of the trace arrives.

import { useMemo, useState } from '../../vendor/preact.js';
import { patch } from './router.js';
import { visible } from './tree.js';

const idOf = (node) => node.span.span_id;

export function useWalk(tree, firstId) {
  const [selectedId, setSelectedId] = useState(firstId);
  const [folded, setFolded] = useState(new Set());
  const rows = useMemo(() => visible(tree.rows, folded), [tree, folded]);
  const selected = useMemo(
    () => tree.rows.find((n) => idOf(n) === selectedId) ?? null,
    [tree, selectedId],
  );

  // Selecting a span unfolds what hides it and puts it into the address.
  const select = (node) => {
    const id = node ? idOf(node) : '';
    setSelectedId(id);
    patch({ span: id });
    const open = new Set(folded);
    for (let up = node?.parent; up; up = up.parent) open.delete(idOf(up));
    if (open.size < folded.size) setFolded(open);
  };
  const isFolded = (node) => folded.has(idOf(node));
  const fold = (node, on = !isFolded(node)) => {
    const next = new Set(folded);
    if (on && node.children.length) next.add(idOf(node));
    else next.delete(idOf(node));
    setFolded(next);
  };
  // Folds every span that enters another service; unfolds all when something is folded.
  const foldServices = () => {
    const enters = (n) => n.children.length && n.parent && n.span.service !== n.parent.span.service;
    setFolded(folded.size ? new Set() : new Set(tree.rows.filter(enters).map(idOf)));
  };

  const move = (by) =>
    select(rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(selected) + by))]);
  const left = () => {
    if (selected?.children.length && !isFolded(selected)) fold(selected, true);
    else if (selected?.parent) select(selected.parent);
  };
  const right = () => {
    if (!selected) return;
    if (isFolded(selected)) fold(selected, false);
    else if (selected.children.length) select(selected.children[0]);
  };
  // The next (1) or previous (-1) of `list`, which is in the order of the rows; round at the ends.
  const cycle = (list, by) => {
    if (!list?.length) return;
    const order = new Map(tree.rows.map((node, i) => [node, i]));
    const here = selected ? order.get(selected) : -1;
    const after = list.find((n) => order.get(n) > here) ?? list[0];
    const before = list.findLast((n) => order.get(n) < here) ?? list[list.length - 1];
    select(by > 0 ? after : before);
  };
  return { rows, selected, select, folded, isFolded, fold, foldServices, move, left, right, cycle };
}
