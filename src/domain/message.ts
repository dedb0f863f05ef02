export interface Message {
  id: string
  session_id: string
  /** Position in the conversation, from 1. */
  seq: number
  role: 'user' | 'agent' | 'system'
  content: string
  turn_id: string | null
  usage: TokenUsage | null
  created_at: string
}

export interface TokenUsage {
  input_tokens: number
  output_tokens: number
}

/** At most this many characters in a message. */
export const MESSAGE_LIMIT = 100_000
