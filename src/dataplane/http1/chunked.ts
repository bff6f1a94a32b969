// Chunked bodies, read strictly: exact hexadecimal size, CRLF everywhere, short extensions, trailers read and dropped.

const maxExtension = 4_096;
const maxTrailers = 16_384;

const sizeState = 0;
const extensionState = 1;
const sizeLfState = 2;
const dataState = 3;
const dataCrState = 4;
const dataLfState = 5;
const trailerStartState = 6;
const trailerState = 7;
const trailerLfState = 8;
const lastLfState = 9;
const doneState = 10;

export class ChunkedDecoder {
  #state = sizeState;
  #left = 0;
  #digits = 0;
  #extension = 0;
  #trailers = 0;

  get isDone(): boolean {
    return this.#state === doneState;
  }

  /**
   * Reads from `at`, handing each run of data to `onData` (a view, not a copy). Returns where it stopped: the end of the buffer, or
   * just behind the body when {@link isDone}; -1 for a malformed body.
   */
  read(buffer: Buffer, at: number, onData: (data: Buffer) => void): number {
    const end = buffer.length;
    while (at < end) {
      const byte = buffer[at] as number;
      switch (this.#state) {
        case sizeState: {
          const digit = hexDigit(byte);
          if (digit >= 0) {
            // 2^52 is far beyond any body and keeps the sum exact.
            if (++this.#digits > 13) return -1;
            this.#left = this.#left * 16 + digit;
          } else if (this.#digits === 0) return -1;
          else if (byte === 0x0d) this.#state = sizeLfState;
          else if (byte === 0x3b) {
            this.#extension = 0;
            this.#state = extensionState;
          } else return -1;
          at++;
          break;
        }
        case extensionState:
          if (byte === 0x0d) this.#state = sizeLfState;
          else if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f || ++this.#extension > maxExtension) return -1;
          at++;
          break;
        case sizeLfState:
          if (byte !== 0x0a) return -1;
          this.#state = this.#left === 0 ? trailerStartState : dataState;
          at++;
          break;
        case dataState: {
          const take = Math.min(this.#left, end - at);
          onData(buffer.subarray(at, at + take));
          at += take;
          this.#left -= take;
          if (this.#left === 0) this.#state = dataCrState;
          break;
        }
        case dataCrState:
          if (byte !== 0x0d) return -1;
          this.#state = dataLfState;
          at++;
          break;
        case dataLfState:
          if (byte !== 0x0a) return -1;
          this.#digits = 0;
          this.#state = sizeState;
          at++;
          break;
        case trailerStartState:
          this.#state = byte === 0x0d ? lastLfState : trailerState;
          at++;
          if (byte === 0x0a || ++this.#trailers > maxTrailers) return -1;
          break;
        case trailerState:
          if (byte === 0x0d) this.#state = trailerLfState;
          else if (byte === 0x0a || byte === 0 || ++this.#trailers > maxTrailers) return -1;
          at++;
          break;
        case trailerLfState:
          if (byte !== 0x0a) return -1;
          this.#state = trailerStartState;
          at++;
          break;
        case lastLfState:
          if (byte !== 0x0a) return -1;
          this.#state = doneState;
          return at + 1;
        default:
          return at;
      }
    }
    return at;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
  if (byte >= 0x41 && byte <= 0x46) return byte - 0x37;
  return -1;
}
