import type { Principal } from '../../domain/principal.ts'

/** Who commits: the acting principal, whatever the repository's configuration says. */
export function identity({ actor_id, tenant_id }: Principal): Record<string, string> {
  const name = plain(actor_id, /[^\p{L}\p{N} ._@+-]/gu)
  const email = `${plain(actor_id, /[^\w.+-]/g)}@${plain(tenant_id, /[^\w.-]/g)}.cloister.local`
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  }
}

/** Git drops some characters silently and takes others for the end of a name: none of them gets there. */
function plain(text: string, strange: RegExp): string {
  return text.replace(strange, '_').replace(/^[.,:;\s]+|[.,:;\s]+$/g, '') || 'unknown'
}
