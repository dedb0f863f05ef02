/** Bytes that outlive the sandbox, by session and id. What is known about them lies in the database. */
export interface ArtifactStore {
  /** Stores whole or not at all. Returns what to record. */
  put(sessionId: string, artifactId: string, content: Uint8Array): Promise<{ size_bytes: number; sha256: string }>
  /** Null when there is none. `range`: first and last byte, inclusive. */
  get(sessionId: string, artifactId: string, range?: { start: number; end: number }): Promise<NodeJS.ReadableStream | null>
  read(sessionId: string, artifactId: string): Promise<Buffer | null>
  deleteSession(sessionId: string): Promise<void>
}
