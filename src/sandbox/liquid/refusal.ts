/** A refused transaction: the node's reject reason, and the text that `sendrawtransaction` adds after a comma. */
export class Refusal extends Error {
  readonly reason: string;
  readonly detail: string | undefined;

  constructor(reason: string, detail?: string) {
    super(detail === undefined ? reason : `${reason}, ${detail}`);
    this.reason = reason;
    this.detail = detail;
  }
}

/** @throws Refusal always. */
export function refuse(reason: string, detail?: string): never {
  throw new Refusal(reason, detail);
}
