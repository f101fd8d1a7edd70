// The app's side of a bridge page: frames, streams, credit. `result` is what came of it.

const STREAMS = 5;
const LONG = 6 << 20; // more than the credit of a stream
const SHORT = 1000;
const WINDOW = 4 << 20;

const states = [];
let finish;
const result = new Promise((resolve) => { finish = (outcome) => resolve({ outcome, states }); });
setTimeout(() => finish('too slow'), 50000);

function frame(kind, stream, payload = []) {
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (kind << 24) | stream);
  view.setUint32(4, payload.length);
  bytes.set(payload, 8);
  return bytes.buffer;
}

// Byte `at` of stream `id`.
const pattern = (id, at) => (at * 31 + (at >> 8) * 7 + id) & 255;

// `post` moves a buffer to the page; what the returned function is given came from it.
function app(post) {
  const streams = new Map();
  let greeted = false;

  function push(id) {
    const stream = streams.get(id);
    while (stream.sent < stream.length && stream.credit > 0) {
      const count = Math.min(64 << 10, stream.length - stream.sent, stream.credit);
      const bytes = new Uint8Array(count);
      for (let i = 0; i < count; i++) bytes[i] = pattern(id, stream.sent + i);
      post(frame(2, id, bytes));
      stream.sent += count;
      stream.credit -= count;
    }
  }

  function heard(kind, id, payload) {
    if (kind === 0x11 && !greeted) {
      greeted = true;
      for (let id = 1; id <= STREAMS; id++) {
        streams.set(id, { length: id === 1 ? LONG : SHORT, sent: 0, got: 0, credit: WINDOW, unread: 0 });
        post(frame(1, id));
        push(id);
      }
      return;
    }
    if (kind === 5) return post(frame(6, 0, payload));
    const stream = streams.get(id);
    if (!stream) return finish(`frame ${kind} of stream ${id}`);
    if (kind === 4) {
      stream.credit += new DataView(payload.buffer, payload.byteOffset).getUint32(0);
      push(id);
    } else if (kind === 2) {
      for (const byte of payload) {
        if (byte !== pattern(id, stream.got++)) return finish(`wrong byte ${stream.got} of stream ${id}`);
      }
      stream.unread += payload.length;
      if (stream.unread >= 256 << 10) {
        const credit = new Uint8Array(4);
        new DataView(credit.buffer).setUint32(0, stream.unread);
        stream.unread = 0;
        post(frame(4, id, credit));
      }
      if (stream.got === stream.length) {
        post(frame(3, id));
        streams.delete(id);
        if (!streams.size) finish('all came back');
      }
    } else {
      finish(`frame ${kind} of stream ${id}`);
    }
  }

  return (data) => {
    if (data.t === 'status') states.push(data.state);
    if (data.t === 'close') finish('closed');
    if (!data.byteLength) return;
    const view = new DataView(data);
    for (let at = 0; at < data.byteLength;) {
      const size = view.getUint32(at + 4);
      const head = view.getUint32(at);
      heard(head >>> 24, head & 0xffffff, new Uint8Array(data, at + 8, size));
      at += 8 + size;
    }
  };
}

// An app that opens one stream, says what it was given and takes what is answered.
function ping(post) {
  let answer = '';
  return (data) => {
    if (data.t === 'status') states.push(data.state);
    if (data.t === 'close') finish('closed');
    if (!data.byteLength) return;
    const view = new DataView(data);
    for (let at = 0; at < data.byteLength;) {
      const kind = view.getUint8(at), size = view.getUint32(at + 4);
      const payload = new Uint8Array(data, at + 8, size);
      at += 8 + size;
      if (kind === 0x11) {
        post(frame(1, 1));
        post(frame(2, 1, OPENING.match(/../g).map((byte) => parseInt(byte, 16))));
      } else if (kind === 2) {
        for (const byte of payload) answer += byte.toString(16).padStart(2, '0');
        if (answer.length >= 2 * ANSWER) finish(answer);
      } else if (kind === 3) {
        finish('the stream was closed');
      }
    }
  };
}

const play = typeof OPENING === 'string' ? ping : app;

const HELLO = frame(0x10, 0, [1]);

function webView() {
  let fromPage;
  const boundary = {
    onmessage: null,
    postMessage(data) {
      if (typeof data !== 'string') return fromPage(data);
      const told = JSON.parse(data);
      if (told.t === 'tproxy-android-init') {
        if (told.v !== 1 || told.nonce !== 'N'.repeat(43)) return finish('a wrong greeting');
        fromPage = play((buffer) => boundary.onmessage({ data: buffer }));
        return setTimeout(() => boundary.onmessage({ data: HELLO }));
      }
      fromPage(told);
    },
  };
  Object.defineProperty(window, 'TelegramWebProxy', { value: boundary });
}

function parent_of(url) {
  const iframe = document.createElement('iframe');
  iframe.src = url;
  iframe.onload = () => {
    const { port1, port2 } = new MessageChannel();
    const fromPage = play((buffer) => port1.postMessage(buffer));
    port1.onmessage = ({ data }) => fromPage(data);
    iframe.contentWindow.postMessage({ t: 'tproxy-init', v: 1 }, new URL(url).origin, [port2]);
    port1.postMessage(HELLO);
  };
  document.documentElement.append(iframe);
}
