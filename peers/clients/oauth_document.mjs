// Publishes a Client ID Metadata Document at https://localhost:PORT/client.json, which is then the id
// of a client. Told where tls.pem and tls.key are. Prints `listening PORT`, and `asked` each time.
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';

const [home] = process.argv.slice(2);
const tls = { cert: fs.readFileSync(path.join(home, 'tls.pem')), key: fs.readFileSync(path.join(home, 'tls.key')) };
const server = https.createServer(tls, (request, response) => {
    console.log('asked', request.url);
    const client_id = `https://localhost:${server.address().port}/client.json`;
    const document = {
        client_id, client_name: 'Walker', application_type: 'native', token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/callback'], grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'], scope: 'mcp'
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(document));
});
server.listen(0, 'localhost', () => console.log(`listening ${server.address().port}`));
