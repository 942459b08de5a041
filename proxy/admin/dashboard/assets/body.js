// Encodes the body of a PDU from hex, or from fields by their names or numbers in the protobuf
// message.

const lineForm = /^([A-Za-z_]\w{0,99}|\d{1,9})\s*[=:]\s*(.*)$/;

// bodyOf returns the body in hex. fields are those of the command's message, as the API's Field
// describes them. Its error names the line.
export function bodyOf(text, fields = []) {
  const lines = text.split('\n').map((line, i) => ({ text: line.trim(), at: i + 1 })).filter((line) => line.text !== '');
  if (!lines.some((line) => /[=:]/.test(line.text))) return hexOf(text);
  return lines.map(({ text: line, at }) => {
    const parts = lineForm.exec(line);
    if (!parts) throw new Error(`line ${at}: ${JSON.stringify(line.slice(0, 40))} is not a field; write NAME = VALUE or NUMBER = VALUE, as from_user_id = 42 or 1 = 42`);
    if (/^\d/.test(parts[1])) {
      const field = Number(parts[1]);
      if (field < 1 || field > 536870911) throw new Error(`line ${at}: fields have numbers from 1 to 536870911`);
      return encode(field, parts[2], at);
    }
    const field = fields.find((f) => f.name === parts[1]);
    if (!field) {
      const known = fields.map((f) => f.name).join(', ');
      throw new Error(`line ${at}: ${JSON.stringify(parts[1])} is not a field of the command; ${known ? `it has ${known}` : 'its fields are not known, so write their numbers'}`);
    }
    return encode(field.number, valueOf(field, parts[2], at), at);
  }).join('');
}

const whole = new Set(['uint32', 'uint64', 'int32', 'int64', 'bool', 'enum']);

// valueOf writes the value of a named field as encode takes it: names of an enum become numbers,
// and text needs no quotes.
function valueOf(field, value, at) {
  if (field.type === 'enum' && field.values?.[value] !== undefined) return String(field.values[value]);
  if (field.type === 'enum' && !/^-?\d+$/.test(value)) throw new Error(`line ${at}: ${JSON.stringify(value.slice(0, 40))} is not a value of ${field.name}; it has ${Object.keys(field.values ?? {}).join(', ')}`);
  if (whole.has(field.type)) {
    if (!/^(-?\d{1,20}|true|false)$/.test(value)) throw new Error(`line ${at}: ${field.name} takes a whole number, not ${JSON.stringify(value.slice(0, 40))}`);
    return value;
  }
  const text = field.type === 'string' || field.type === 'bytes';
  if (text) return value.startsWith('"') || /^0?x[0-9a-f]/i.test(value) ? value : JSON.stringify(value);
  if (!/^0?x/i.test(value)) throw new Error(`line ${at}: ${field.name} is a ${field.type}; write its bytes as x0aff`);
  return value;
}

// hexOf removes spaces from hex and checks it.
export function hexOf(text) {
  const hex = text.replace(/\s+/g, '').replace(/^0x/i, '').toLowerCase();
  const wrong = /[^0-9a-f]/.exec(hex);
  if (wrong) throw new Error(`${JSON.stringify(wrong[0])} is not a hex digit`);
  if (hex.length % 2) throw new Error(`${hex.length} hex digits are not a whole number of bytes; write two for each`);
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
  throw new Error(`line ${at}: ${JSON.stringify(value.slice(0, 40))} is not a value; write a whole number, a "text" or bytes as x0aff`);
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
