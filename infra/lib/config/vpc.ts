// Keys of a network that the functions run in.
import { z } from 'zod';
import { key, section, text } from './keys';

const id = (kind: string) => text(new RegExp(`^${kind}-[0-9a-f]{8,17}$`), `an id such as ${kind}-0123456789abcdef0`);
const INTERFACE = ['sqs', 'kms', 'secretsmanager', 'sts', 'logs', 'monitoring', 'securityhub', 'lambda', 'dynamodb', 's3', 'securitylake', 'cloudtrail-data'] as const;

export const vpc = key(section({
  vpcId: key(id('vpc'), 'The network.'),
  subnetIds: key(z.array(id('subnet')).min(1).max(16), 'Private subnets that the functions run in, with a way to Azure as you provide it.', 'ids'),
  securityGroupId: key(id('sg').optional(), 'Security group of the functions; without it one is made that lets nothing in.'),
  egressCidrs: key(z.array(text(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/, 'a range such as 10.0.0.0/8')).min(1).max(50).default(['0.0.0.0/0']),
    'Where the made security group lets out to: HTTPS (443) and AMQP (5671).', 'ranges'),
  interfaceEndpoints: key(z.array(z.enum(INTERFACE)).max(INTERFACE.length).default([]),
    'Services that get an endpoint in the subnets.', INTERFACE.join(', ')),
  gatewayEndpoints: key(z.array(z.enum(['s3', 'dynamodb'])).max(2).default([]), 'Services that get a gateway endpoint.', 's3, dynamodb'),
  routeTableIds: key(z.array(id('rtb')).max(50).default([]), 'Route tables of the gateway endpoints; needed with them.', 'ids'),
}).optional(), 'The functions run in this network; outside of any without it.');
