// The server of http_hello; the load writes 16 requests at once.
const http = require("node:http");

const server = http.createServer((req, res) => {
  res.end("hello");
});
server.listen(0, "127.0.0.1", () => console.log("listening", server.address().port));
