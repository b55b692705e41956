// SPDX-License-Identifier: Apache-2.0
// Makes elements. Texts of the network become text nodes and attributes, never markup (CTL-14).

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>;

/** `class`, other attributes, and listeners by names such as `onclick`. False, null and undefined leave one out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  fill(element, ...children);
  return element;
}

/** Replaces the children of an element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter(child => child !== null && child !== undefined && child !== false).map(child => (child instanceof Node ? child : String(child))));
}

/** Sets a text only if it is another one, so that nothing is painted anew for nothing. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

const SVG = 'http://www.w3.org/2000/svg';
const SHAPES: Record<string, string> = {
  silent: 'M3 3l10 10M13 3L3 13',
  broken: 'M8 2v7M8 12.5v1',
  fault: 'M8 2v7M8 12.5v1',
  lossy: 'M2 9q1.5-4 3 0t3 0 3 0 3 0',
  note: 'M3 8h10',
  fine: 'M3 8.5l3.5 3.5L13 4.5',
  arrow: 'M1 8h13M10 4l4 4-4 4',
  back: 'M10 3L5 8l5 5',
  search: 'M7 2a5 5 0 1 0 0 10A5 5 0 0 0 7 2zM11 11l3.5 3.5',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13.5 9.5A6 6 0 0 1 6.5 2.5 6 6 0 1 0 13.5 9.5z',
};

/** A small drawing, which says nothing to a screen reader: a word stands beside it. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', `icon icon-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', SHAPES[name] ?? '');
  svg.append(path);
  return svg;
}

/** A text for screen readers alone. */
export const unseen = (text: string) => h('span', { class: 'unseen' }, text);

export const by = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
