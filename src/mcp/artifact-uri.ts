/** An artifact of a session as a resource. */
export function artifactUri(sessionId: string, artifactId: string): string {
  return `cloister://sessions/${sessionId}/artifacts/${artifactId}`
}

/** The artifact that a URI names in this session; null: it names none there. */
export function artifactOf(sessionId: string, uri: string): string | null {
  const prefix = artifactUri(sessionId, '')
  const id = uri.startsWith(prefix) ? uri.slice(prefix.length) : ''
  return /^[A-Za-z0-9_]{1,64}$/.test(id) ? id : null
}
