// Makes one call with an ordinary grpc-js stub and prints what came of it, as JSON.
//
// Standard input says which: {address, sets: [descriptor set files], config: service config,
// service, method, request, metadata: {key: value}, timeoutMs}. An `input` of the request that is
// written as {"@type": message name, ...fields} becomes an Any. What is printed is {messages, error,
// metadata, trailers}; every Any in it that the sets know is unpacked. protobufjs takes names from
// descriptor sets as they are, and shows a map as a list of its entries.

'use strict';

const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const STATUS_KEY = 'grpc-status-details-bin';
const FORM = { longs: String, enums: String, bytes: String, oneofs: true };

const order = JSON.parse(fs.readFileSync(0, 'utf8'));
const known = {};
for (const file of order.sets) {
  Object.assign(known, loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(file), FORM));
}

function packed({ '@type': name, ...fields }) {
  return { type_url: `type.googleapis.com/${name}`, value: known[name].serialize(fields) };
}

function unpacked(value) {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(unpacked);
  if (typeof value.type_url === 'string') {
    const name = value.type_url.split('/').pop();
    if (!known[name]) return value;
    const data = Buffer.from(value.value || '', 'base64');
    return { '@type': name, ...unpacked(known[name].deserialize(data)) };
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, unpacked(each)]));
}

function failure(error) {
  const [data] = error.metadata.get(STATUS_KEY);
  const status = data ? known['google.rpc.Status'].deserialize(data) : { details: [] };
  return {
    code: grpc.status[error.code],
    message: error.details,
    details: unpacked(status.details || []),
  };
}

// grpc-js reads waitForReady from a call's metadata only, and not from the service config.
const metadata = new grpc.Metadata({ waitForReady: true });
for (const [key, value] of Object.entries(order.metadata || {})) metadata.set(key, value);

const Client = grpc.loadPackageDefinition(known);
const Service = order.service.split('.').reduce((found, name) => found[name], Client);
const stub = new Service(order.address, grpc.credentials.createInsecure(), {
  ...(order.config ? { 'grpc.service_config': order.config } : {}),
});

const method = Service.service[order.method];
const request = order.request.input
  ? { ...order.request, input: packed(order.request.input) }
  : order.request;
const options = { deadline: Date.now() + order.timeoutMs };
const result = { messages: [], error: null, metadata: {}, trailers: {} };
const shown = (found) => {
  const { [STATUS_KEY]: _, ...rest } = found.getMap();
  return rest;
};

function print() {
  process.stdout.write(JSON.stringify(result));
  stub.close();
}

let call;
if (method.responseStream) {
  call = stub[order.method](request, metadata, options);
  call.on('data', (message) => result.messages.push(unpacked(message)));
  call.on('error', (error) => (result.error = failure(error)));
} else {
  call = stub[order.method](request, metadata, options, (error, message) => {
    if (error) result.error = failure(error);
    else result.messages.push(unpacked(message));
  });
}
call.on('metadata', (found) => (result.metadata = shown(found)));
call.on('status', (status) => {
  result.trailers = shown(status.metadata);
  // The callback and the 'error' event come after this one.
  setImmediate(print);
});
