import type { HostErrorCode } from '../host/wire.ts'

/** Host is gone or does not answer: the sandbox is lost. */
export class SandboxLost extends Error {
  constructor(reason: string, cause?: unknown) {
    super(`the sandbox is lost: ${reason}`, { cause })
    this.name = 'SandboxLost'
  }
}

/** Host refused a request for a reason that the caller can act on. */
export class HostError extends Error {
  readonly code: HostErrorCode

  constructor(code: HostErrorCode, message: string) {
    super(message)
    this.name = 'HostError'
    this.code = code
  }
}
