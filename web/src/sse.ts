// SPDX-License-Identifier: Apache-2.0
// Reads a stream of Server-Sent Events (HTML Living Standard §9.2). EventSource cannot send the token, so the page
// reads the stream by fetch. Pure.

export interface ServerEvent { id: string; type: string; data: string }

export class EventReader {
  private rest = '';
  private id = '';
  private type = '';
  private data: string[] = [];

  /** Takes a piece of the stream, and returns the events that are complete with it. */
  take(piece: string): ServerEvent[] {
    const lines = (this.rest + piece).split(/\r\n|\n|\r/);
    this.rest = lines.pop()!;
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === '') {
        if (this.data.length > 0) events.push({ id: this.id, type: this.type || 'message', data: this.data.join('\n') });
        this.type = '';
        this.data = [];
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') this.type = value;
      else if (field === 'data') this.data.push(value);
      else if (field === 'id' && !value.includes('\0')) this.id = value;
    }
    return events;
  }
}
