// A TCP round trip: each step is the answer to the one before.
'use strict';
const net = require('net');
const { once } = require('events');
(async () => {
  const server = net.createServer(async socket => {
    const [data] = await once(socket, 'data');
    console.log('server got\t' + data);
    process.nextTick(console.log, 'tick of server');
    queueMicrotask(() => {
      console.log('microtask of server');
      socket.end(data.toString().toUpperCase());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect(server.address().port, '127.0.0.1');
  client.write('hello');
  const [answer] = await once(client, 'data');
  console.log('client got\t' + answer);
  process.nextTick(console.log, 'tick of client');
  queueMicrotask(() => console.log('microtask of client'));
  client.destroy();
  server.close();
})();
