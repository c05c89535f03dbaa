// From logits to the probabilities of a draw, by the server's own definitions and in its order:
// temperature, top-k, top-p of what top-k left, min-p of what is left. The page draws nothing: it
// shows what the server draws from.

const LEAST_TEMPERATURE = 2 ** -149; // stands for smaller temperatures: no overflow

export class Distribution {
  constructor(logits, logSumExp) {
    this.logits = logits;
    this.logSumExp = logSumExp;
    // Token ids, the most likely first; equal logits go to the lower id.
    this.order = Uint32Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  }

  // The model's own probability of a token.
  own(id) {
    return Math.exp(this.logits[id] - this.logSumExp);
  }

  rankOf(id) {
    return this.order.indexOf(id);
  }

  // The probabilities of all tokens that can be drawn, the most likely first.
  drawn({ temperature, top_k: topK, top_p: topP, min_p: minP }) {
    if (temperature === 0 || topK === 1) return Float64Array.of(1);
    const weights = this.#weights(temperature, topK);
    const n = keptByMinP(weights, keptByTopP(weights, topP), minP);
    const total = sum(weights, n);
    return weights.subarray(0, n).map((weight) => weight / total);
  }

  #weights(temperature, topK) {
    const n = topK > 0 ? Math.min(topK, this.order.length) : this.order.length;
    const scale = 1 / Math.max(temperature, LEAST_TEMPERATURE);
    const greatest = this.logits[this.order[0]];
    const weights = new Float64Array(n);
    for (let rank = 0; rank < n; ++rank) {
      weights[rank] = Math.exp((this.logits[this.order[rank]] - greatest) * scale);
    }
    return weights;
  }
}

function sum(weights, n) {
  let total = 0;
  for (let rank = 0; rank < n; ++rank) total += weights[rank];
  return total;
}

// The fewest that hold the share.
function keptByTopP(weights, share) {
  if (share === 1) return weights.length;
  const wanted = share * sum(weights, weights.length);
  let held = 0;
  for (let rank = 0; rank < weights.length; ++rank) {
    held += weights[rank];
    if (held >= wanted) return rank + 1;
  }
  return weights.length;
}

// The greatest weight is 1.
function keptByMinP(weights, n, least) {
  while (n > 1 && weights[n - 1] < least) --n;
  return n;
}

// Logits as /v1/next_tokens sends them.
export function decodeLogits(base64) {
  const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
