// SPDX-License-Identifier: Apache-2.0
// What a page of the test can do: one peer connection, a tone or moving pictures of its own, and ears.
window.ferry = (() => {
  const KHZ = 48000, PATIENCE = 20;  // ms between two looks
  const COLOURS = { red: 'rgb(200 40 40)', green: 'rgb(40 200 40)', blue: 'rgb(40 40 200)' };
  let pc, context, analyser, sent, agent, session;

  const later = time => new Promise(done => setTimeout(done, time));

  // Calls `look` until it gives something, or null after `time` ms.
  async function until(look, time) {
    const end = performance.now() + time;
    for (;;) {
      const found = await look();
      if (found || performance.now() > end) return found || null;
      await later(PATIENCE);
    }
  }

  function tone(hertz) {
    const oscillator = new OscillatorNode(context, { frequency: hertz });
    const out = context.createMediaStreamDestination();
    oscillator.connect(out);
    oscillator.start();
    return out.stream;
  }

  // Noise in coarse squares: an encoder takes whatever rate it gets for it. With a colour the noise is a strip at the lower edge.
  function pictures(colour) {
    const [width, height] = colour ? [320, 240] : [480, 360], [small, canvas] = [document.createElement('canvas'), document.createElement('canvas')];
    [small.width, small.height, canvas.width, canvas.height] = [width / 8, height / 8, width, height];
    const [source, pen] = [small.getContext('2d'), canvas.getContext('2d')], image = source.createImageData(small.width, small.height);
    const words = new Uint32Array(image.data.buffer);
    pen.imageSmoothingEnabled = false;
    setInterval(() => {
      for (let i = 0, seed = Math.random() * 2 ** 32; i < words.length; ++i) {
        seed = (seed * 1664525 + 1013904223) >>> 0;
        words[i] = seed | 0xff000000;
      }
      source.putImageData(image, 0, 0);
      pen.drawImage(small, 0, 0, width, height);
      if (colour) {
        pen.fillStyle = COLOURS[colour];
        pen.fillRect(0, 0, width, height * 0.9);
      }
    }, 66);
    return canvas.captureStream(15);
  }

  function hear(track) {
    const stream = new MediaStream([track]);
    const player = new Audio();
    player.srcObject = stream;
    player.play();
    analyser = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    context.createMediaStreamSource(stream).connect(analyser);
  }

  function attend({ track }) {
    if (track.kind === 'audio') hear(track);
    else Object.assign(document.body.appendChild(document.createElement('video')), { srcObject: new MediaStream([track]), muted: true }).play().catch(() => {});
  }

  // The loudest frequency that is heard now, in Hz; 0 for silence.
  function loudest() {
    if (!analyser) return 0;
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    let best = 0;
    for (let i = 1; i < bins.length; ++i) if (bins[i] > bins[best]) best = i;
    return bins[best] > -60 ? best * KHZ / analyser.fftSize : 0;
  }

  // With `trickles` before the first candidate is known.
  async function described(trickles) {
    if (!trickles) return gathered();
    return pc.localDescription.sdp.replace(/^a=candidate:.*\r\n/gm, '');
  }

  async function gathered() {
    await until(() => pc.iceGatheringState === 'complete', 3000);
    return pc.localDescription.sdp;
  }

  // The colour in the middle of the picture that is shown now; null if none of the three is clear.
  function colourOf(video) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [8, 8];
    const pen = canvas.getContext('2d');
    pen.drawImage(video, 0, 0, 8, 8);
    const pixel = [...pen.getImageData(3, 4, 1, 1).data].slice(0, 3), best = pixel.indexOf(Math.max(...pixel));
    return pixel.every((value, at) => at === best || pixel[best] > value + 40) ? Object.keys(COLOURS)[best] : null;
  }

  async function decoded() {
    return (await stats('inbound-rtp')).filter(each => each.kind === 'video').reduce((sum, each) => sum + (each.framesDecoded ?? 0), 0);
  }

  const shows = () => [...document.querySelectorAll('video')].map(colourOf);

  function send({ hertz, colour, video }) {
    if (hertz) tone(hertz).getTracks().forEach(track => pc.addTrack(track, sent));
    if (video || colour) pictures(colour).getTracks().forEach(track => pc.addTrack(track, sent));
  }

  async function stats(kind) {
    const all = [];
    (await pc.getStats()).forEach(each => { if (each.type === kind) all.push(each); });
    return all;
  }

  // What JsSIP needs for a call: its own peer connection is heard and seen like ours.
  function terms({ hertz, colour }) {
    context ??= new AudioContext({ sampleRate: KHZ });
    document.querySelectorAll('video').forEach(each => each.remove());
    analyser = undefined;
    const tracks = [...tone(hertz).getTracks(), ...(colour ? pictures(colour).getTracks() : [])];
    return { mediaStream: new MediaStream(tracks), pcConfig: { bundlePolicy: 'max-bundle', iceServers: [] } };
  }

  function adopt({ peerconnection }) {
    pc = peerconnection;
    pc.addEventListener('track', attend);
  }

  return {
    // Signs in at the proxy by SIP over WebSocket. Whoever calls the page gets this tone and picture.
    async register({ user, proxy, hertz, colour }) {
      agent = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(`ws://${proxy}:8080`)], uri: `sip:${user}@${proxy}`, session_timers: false });
      agent.on('newRTCSession', call => {
        session = call.session;
        if (call.originator === 'remote') {
          session.on('peerconnection', adopt);
          session.answer(terms({ hertz, colour }));
        }
      });
      agent.start();
      return until(() => agent.isRegistered(), 5000);
    },
    // Calls somebody; the status of the call: "confirmed" or why it failed.
    async dial({ to, hertz, colour }) {
      let state;
      agent.call(to, { ...terms({ hertz, colour }), eventHandlers: { peerconnection: adopt, confirmed: () => { state = 'confirmed'; }, failed: why => { state = why.cause; } } });
      return until(() => state, 20000);
    },
    // Holds the call, or takes it back; true once the other side has agreed.
    hold: ({ on }) => new Promise(done => (on ? session.hold({}, () => done(true)) : session.unhold({}, () => done(true)))),
    hangUp: () => session.terminate(),
    // Whether the other side comes to hold the call, or comes to have taken it back.
    isHeld: ({ on, time }) => until(() => session && session.isOnHold().remote === on, time),
    inCall: ({ time }) => until(() => session?.isEstablished(), time),
    // `hertz`: of the tone; `video`: pictures too or alone; `colour`: pictures of this colour; `data`: a data channel; `devices`:
    // microphone and camera. Nothing is sent of what is left out.
    async make({ hertz, colour, video, data, devices, policy }) {
      if (pc) pc.close();
      document.querySelectorAll('video').forEach(each => each.remove());
      context ??= new AudioContext({ sampleRate: KHZ });
      analyser = undefined;
      pc = new RTCPeerConnection({ bundlePolicy: policy ?? 'balanced' });
      pc.ontrack = attend;
      sent = new MediaStream();
      send({ hertz, colour, video });
      if (devices) {
        const own = await navigator.mediaDevices.getUserMedia({ video: true, audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
        own.getTracks().forEach(track => pc.addTrack(track, own));
      }
      if (data) pc.createDataChannel('d');
    },
    // From the next offer on it sends this, too.
    add: send,
    // Ends the transceivers of a kind.
    stop: ({ kind }) => pc.getTransceivers().filter(each => !each.stopped && each.receiver.track.kind === kind).forEach(each => each.stop()),
    // From the next offer on the transceivers have this direction.
    turn: ({ direction }) => pc.getTransceivers().filter(each => !each.stopped).forEach(each => { each.direction = direction; }),
    restart: () => pc.restartIce(),
    async offer({ trickles } = {}) {
      await pc.setLocalDescription(await pc.createOffer());
      return described(trickles);
    },
    async accept({ sdp, trickles }) {
      await pc.setRemoteDescription({ type: 'offer', sdp });
      await pc.setLocalDescription(await pc.createAnswer());
      return described(trickles);
    },
    gathered,
    shown: () => pc.localDescription.sdp,
    answer: ({ sdp }) => pc.setRemoteDescription({ type: 'answer', sdp }),
    // Milliseconds until a tone near `hertz` (0: silence) is heard; null if it is not within `time`.
    async hears({ hertz, time }) {
      const start = performance.now();
      const found = await until(() => (hertz ? Math.abs(loudest() - hertz) < 60 : loudest() === 0) && { at: performance.now() - start }, time);
      return found && Math.round(found.at);
    },
    // Milliseconds until so many more frames were decoded and a picture has the colour; null if that did not happen within `time`.
    async sees({ colour, frames, time }) {
      const start = performance.now(), before = await decoded();
      const found = await until(async () => (await decoded()) >= before + frames && shows().includes(colour) && { at: performance.now() - start }, time);
      return found && Math.round(found.at);
    },
    seen: async () => ({ frames: await decoded(), colours: shows(), state: pc.connectionState, ice: pc.iceConnectionState }),
    // The longest time without the tone until it was heard for a whole second again; null if that did not happen within `time`.
    async gap({ hertz, time }) {
      const start = performance.now();
      let last = start, since = start, gap = 0;
      const found = await until(() => {
        const now = performance.now();
        if (Math.abs(loudest() - hertz) < 60) {
          if (now - last > 100) [gap, since] = [now - last, now];
          last = now;
        }
        return gap > 0 && now - last < 100 && now - since > 1000;
      }, time);
      return found && Math.round(gap);
    },
    state: async ({ wanted, time }) => (await until(() => wanted.includes(pc.connectionState) && pc.connectionState, time)) ?? pc.connectionState,
    async pair() {
      const transport = (await stats('transport'))[0];
      const all = new Map((await pc.getStats()).entries());
      const pair = all.get(transport.selectedCandidatePairId);
      return { ...transport, local: all.get(pair?.localCandidateId)?.address, remote: all.get(pair?.remoteCandidateId)?.address };
    },
    stats: ({ kind }) => stats(kind),
    // What arrives of pictures, once `rate` bits a second do; else the best second within `time`.
    async pictures({ rate, time }) {
      let best = { rate: 0 };
      const look = async () => {
        const [one] = (await stats('inbound-rtp')).filter(each => each.kind === 'video');
        return one ?? { bytesReceived: 0, framesDecoded: 0, timestamp: performance.now() };
      };
      let before = await look();
      await until(async () => {
        await later(1000);
        const now = await look();
        const found = { rate: Math.round(8000 * (now.bytesReceived - before.bytesReceived) / (now.timestamp - before.timestamp)),
                        frames: now.framesDecoded - before.framesDecoded, plis: now.pliCount, nacks: now.nackCount };
        if (found.rate > best.rate) best = found;
        before = now;
        return best.rate >= rate;
      }, time);
      return best;
    },
  };
})();
