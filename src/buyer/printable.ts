/** Text of strangers: without anything that could steer a terminal, and not without end. Pure. */
export const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 300);
