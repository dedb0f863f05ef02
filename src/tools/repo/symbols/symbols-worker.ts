import { parentPort, workerData } from 'node:worker_threads'
import type { Grammar } from './grammars.ts'
import { syntaxSymbols } from './syntax-symbols.ts'

const { source, grammar } = workerData as { source: string; grammar: Grammar }
parentPort?.postMessage(await syntaxSymbols(source, grammar))
