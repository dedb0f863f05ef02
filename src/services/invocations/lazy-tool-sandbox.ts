import type { ToolSandbox } from '../../catalog/define-tool.ts'

/** Starts nothing until a handler really reaches for the sandbox: `policy.check` and its like need none. */
export class LazyToolSandbox implements ToolSandbox {
  readonly #connect: () => Promise<ToolSandbox>

  /** @param connect called for every operation: answers with the same sandbox every time */
  constructor(connect: () => Promise<ToolSandbox>) {
    this.#connect = connect
  }

  async run(...args: Parameters<ToolSandbox['run']>) {
    return (await this.#connect()).run(...args)
  }

  async list(...args: Parameters<ToolSandbox['list']>) {
    return (await this.#connect()).list(...args)
  }

  async stat(...args: Parameters<ToolSandbox['stat']>) {
    return (await this.#connect()).stat(...args)
  }

  async read(...args: Parameters<ToolSandbox['read']>) {
    return (await this.#connect()).read(...args)
  }

  async digest(...args: Parameters<ToolSandbox['digest']>) {
    return (await this.#connect()).digest(...args)
  }

  async write(...args: Parameters<ToolSandbox['write']>) {
    return (await this.#connect()).write(...args)
  }

  async mkdir(...args: Parameters<ToolSandbox['mkdir']>) {
    return (await this.#connect()).mkdir(...args)
  }

  async move(...args: Parameters<ToolSandbox['move']>) {
    return (await this.#connect()).move(...args)
  }

  async copy(...args: Parameters<ToolSandbox['copy']>) {
    return (await this.#connect()).copy(...args)
  }

  async remove(...args: Parameters<ToolSandbox['remove']>) {
    return (await this.#connect()).remove(...args)
  }

  async keepPrevious(...args: Parameters<ToolSandbox['keepPrevious']>) {
    return (await this.#connect()).keepPrevious(...args)
  }

  async restorePrevious(...args: Parameters<ToolSandbox['restorePrevious']>) {
    return (await this.#connect()).restorePrevious(...args)
  }

  async startProcess(...args: Parameters<ToolSandbox['startProcess']>) {
    return (await this.#connect()).startProcess(...args)
  }

  async listProcesses(...args: Parameters<ToolSandbox['listProcesses']>) {
    return (await this.#connect()).listProcesses(...args)
  }

  async processOutput(...args: Parameters<ToolSandbox['processOutput']>) {
    return (await this.#connect()).processOutput(...args)
  }

  async stopProcess(...args: Parameters<ToolSandbox['stopProcess']>) {
    return (await this.#connect()).stopProcess(...args)
  }
}
