// A server's handler is a macrotask: its ticks go before its microtasks.
'use strict';
const net = require('net');
const server = net.createServer(socket => {
  setTimeout(console.log, 30, 'timer');
  setImmediate(console.log, 'immediate');
  queueMicrotask(() => {
    console.log('microtask');
    process.nextTick(console.log, 'tick of microtask');
  });
  process.nextTick(() => {
    console.log('tick');
    queueMicrotask(() => console.log('microtask of tick'));
  });
  console.log('handler');
  socket.destroy();
  server.close();
});
server.listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1');
  client.on('error', () => {});
  client.resume();
});
