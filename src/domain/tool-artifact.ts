/** A file that a tool leaves behind. The gate redacts what is text and stores it outside the sandbox. */
export interface ToolArtifact {
  name: string
  content_type: string
  content: Uint8Array | string
}
