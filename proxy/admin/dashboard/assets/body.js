// Encodes the body of a PDU from hex, or from fields by their numbers in the protobuf message.

const lineForm = /^(\d{1,9})\s*[=:]\s*(.*)$/;

// bodyOf returns the body in hex. Its error names the line.
export function bodyOf(text) {
  const lines = text.split('\n').map((line, i) => ({ text: line.trim(), at: i + 1 })).filter((line) => line.text !== '');
  if (!lines.some((line) => /[=:]/.test(line.text))) return hexOf(text);
  return lines.map(({ text: line, at }) => {
    const parts = lineForm.exec(line);
    if (!parts) throw new Error(`line ${at}: ${JSON.stringify(line.slice(0, 40))} is no field; write NUMBER = VALUE, as 1 = 42`);
    const field = Number(parts[1]);
    if (field < 1 || field > 536870911) throw new Error(`line ${at}: fields have numbers from 1 to 536870911`);
    return encode(field, parts[2], at);
  }).join('');
}

// hexOf removes spaces from hex and checks it.
export function hexOf(text) {
  const hex = text.replace(/\s+/g, '').replace(/^0x/i, '').toLowerCase();
  const wrong = /[^0-9a-f]/.exec(hex);
  if (wrong) throw new Error(`${JSON.stringify(wrong[0])} is no hex digit`);
  if (hex.length % 2) throw new Error(`${hex.length} hex digits are no whole number of bytes; write two for each`);
  return hex;
}

// encode writes one field: a number as varint, the rest as bytes with their length.
function encode(field, value, at) {
  if (/^-?\d{1,20}$/.test(value)) {
    const n = BigInt(value);
    if (n < -(1n << 63n) || n >= 1n << 64n) throw new Error(`line ${at}: ${value} has more than 64 bits`);
    return varint(BigInt(field) << 3n) + varint(BigInt.asUintN(64, n));
  }
  if (value === 'true' || value === 'false') return varint(BigInt(field) << 3n) + (value === 'true' ? '01' : '00');
  const bytes = bytesOf(value, at);
  return varint((BigInt(field) << 3n) | 2n) + varint(BigInt(bytes.length / 2)) + bytes;
}

function bytesOf(value, at) {
  try {
    if (value.startsWith('"')) return [...new TextEncoder().encode(JSON.parse(value))].map((b) => b.toString(16).padStart(2, '0')).join('');
    if (/^0?x/i.test(value)) return hexOf(value.replace(/^0?x/i, ''));
  } catch (e) {
    throw new Error(`line ${at}: ${e.message}`);
  }
  throw new Error(`line ${at}: ${JSON.stringify(value.slice(0, 40))} is no value; write a whole number, a "text" or bytes as x0aff`);
}

// varint writes seven bits in each byte, the lowest first.
function varint(n) {
  let hex = '';
  do {
    const low = n & 0x7fn;
    n >>= 7n;
    hex += (n ? low | 0x80n : low).toString(16).padStart(2, '0');
  } while (n);
  return hex;
}
