import { Worker } from 'node:worker_threads'
import { ToolError } from '../../../domain/errors.ts'
import type { FileSymbol } from './file-symbol.ts'
import type { Grammar } from './grammars.ts'

/** Compiled sources lie beside compiled sources. */
const WORKER = new URL(`./symbols-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/**
 * Reads the symbols in a thread that ends with the answer. A hostile file can make a parser busy for long and hungry (a MiB of
 * brackets takes hundreds of MiB, which WebAssembly never gives back): the thread is stopped at the limit, and its memory goes with
 * it.
 *
 * @throws ToolError execution_failed at the limit, or when the parser gives up; cancelled
 */
export async function parseInWorker(
  source: string,
  grammar: Grammar,
  { milliseconds, signal }: { milliseconds: number; signal: AbortSignal },
): Promise<{ symbols: FileSymbol[]; truncated: boolean }> {
  const worker = new Worker(WORKER, {
    workerData: { source, grammar },
    // Nothing of the server's is needed there.
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  })
  let timer: NodeJS.Timeout | undefined
  let onAbort = () => {}
  try {
    return await new Promise((resolve, reject) => {
      const gaveUp = (why: string, cause?: unknown) => reject(new ToolError('execution_failed', why, { cause }))
      timer = setTimeout(() => gaveUp(`the file could not be parsed within ${milliseconds} ms`), milliseconds)
      onAbort = () =>
        reject(signal.reason instanceof ToolError ? signal.reason : new ToolError('cancelled', 'the invocation was cancelled'))
      if (signal.aborted) onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      worker.once('message', resolve)
      worker.once('error', (error) => gaveUp(`the file could not be parsed: ${error.message}`, error))
      worker.once('exit', () => gaveUp('the parser ended without an answer'))
    })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    await worker.terminate()
  }
}
