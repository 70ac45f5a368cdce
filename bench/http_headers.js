// The server of http_hello; the load sends nine request headers as a browser would.
const http = require("node:http");

const server = http.createServer((req, res) => {
  res.end("hello");
});
server.listen(0, "127.0.0.1", () => console.log("listening", server.address().port));
