import type {
  CopyRequest,
  DigestRequest,
  DigestResult,
  ExecOutcome,
  ExecRequest,
  FileEntry,
  FileScope,
  HostHealth,
  KeepResult,
  ListRequest,
  ListResult,
  MkdirRequest,
  MkdirResult,
  MoveRequest,
  MoveResult,
  OperationOutcome,
  PreviousRequest,
  ProcessInfo,
  ProcessOutput,
  ProcessStart,
  ReadRequest,
  ReadResult,
  RemoveRequest,
  RemoveResult,
  RestoreResult,
  StatRequest,
  WriteRequest,
  WriteResult,
} from '../host/wire.ts'

export interface ExecOptions {
  signal?: AbortSignal
  /** Called with every chunk as it arrives, also with those replayed. */
  onOutput?: (channel: 'stdout' | 'stderr', chunk: Buffer) => void
  /** Streamed to the command's standard input, instead of `stdin_base64`. */
  stdin?: NodeJS.ReadableStream
}

export interface ExecResult extends ExecOutcome {
  stdout: Buffer
  stderr: Buffer
  /** Bytes missing in the middle, on a replay of a very long output. */
  dropped_bytes: number
}

/**
 * A running sandbox, seen from the server: host's API with answers validated. Every method throws `SandboxLost` when host is
 * gone, `PathDenied`/`HostError` when host refuses. An aborted `signal` cancels the operation inside and rejects with the
 * signal's reason.
 */
export interface Sandbox {
  health(): Promise<HostHealth>
  configure(env: Record<string, string>): Promise<void>
  exec(request: ExecRequest, options?: ExecOptions): Promise<ExecResult>
  cancel(invocationId: string): Promise<{ killed: number }>
  outcomes(invocationId: string): Promise<OperationOutcome[]>
  acknowledge(invocationId: string): Promise<void>
  list(request: ListRequest): Promise<ListResult>
  stat(request: StatRequest): Promise<FileEntry | null>
  read(request: ReadRequest): Promise<ReadResult>
  digest(request: DigestRequest): Promise<DigestResult>
  write(request: WriteRequest): Promise<WriteResult>
  mkdir(request: MkdirRequest): Promise<MkdirResult>
  move(request: MoveRequest): Promise<MoveResult>
  copy(request: CopyRequest): Promise<MoveResult>
  remove(request: RemoveRequest): Promise<RemoveResult>
  keepPrevious(request: PreviousRequest): Promise<KeepResult>
  restorePrevious(request: PreviousRequest): Promise<RestoreResult>
  download(request: FileScope): Promise<{ size_bytes: number; stream: NodeJS.ReadableStream }>
  upload(
    request: FileScope & { id: string; invocation_id?: string; create_parents: boolean },
    body: NodeJS.ReadableStream,
  ): Promise<WriteResult>
  startProcess(request: ProcessStart): Promise<ProcessInfo>
  listProcesses(): Promise<ProcessInfo[]>
  processOutput(processId: string, after: number, options?: { whole_lines?: boolean }): Promise<ProcessOutput>
  stopProcess(processId: string, signal: string): Promise<{ stopped: boolean }>
  /** Closes the server's connections. The sandbox lives on. */
  disconnect(): void
}
