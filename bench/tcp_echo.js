// Sends back what comes.
const net = require("node:net");

const server = net.createServer((socket) => {
  socket.on("data", (data) => socket.write(data));
  socket.on("error", () => {});
});
server.listen(0, "127.0.0.1", () => console.log("listening", server.address().port));
