// Keys of logs, alarms and the dashboard.
import { z } from 'zod';
import { key, resourceName, section, whole } from './keys';

/** What CloudWatch Logs can keep logs for. */
const RETENTION = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const alarm = (high: number, threshold: number, description: string) => section({
  enabled: key(z.boolean().default(true), 'The alarm.'),
  threshold: key(whole(1, high).default(threshold), description),
}).prefault({});

export const monitoring = section({
  cloudWatchLogs: section({
    retentionDays: key(z.number().int().refine((days) => RETENTION.includes(days), `expected one of ${RETENTION.join(', ')}`).default(90),
      'Days that the functions\' logs are kept.', RETENTION.join(', ')),
  }).prefault({}),
  alarms: section({
    enabled: key(z.boolean().default(true), 'Alarms, and the topic that they are told to.'),
    snsTopicName: key(resourceName().default('tributary-alarms'), 'Name of the topic; the environment is appended.'),
    emailEndpoints: key(z.array(z.email()).max(20).default([]), 'Addresses that are told; each confirms by mail once.', 'addresses'),
    deadLetters: alarm(100000, 1, 'Dead letters of a queue that raise it.'),
    errorRate: alarm(100, 5, 'Percentage of failed invocations of a function that raises it.'),
    queueAge: alarm(1209600, 3600, 'Seconds that the oldest message of a queue waits that raise it.'),
    partitionLag: alarm(1000000000, 100000, 'Events that a partition is behind that raise it.'),
    eventsLost: alarm(1000000000, 1, 'Events that the source dropped before they were read that raise it.'),
    accessDenied: alarm(1000000, 1, 'Calls refused for want of permission that raise it.'),
    mappingsRefused: alarm(1000000, 1, 'Refusals of changed mapping files that raise it.'),
    notRunning: alarm(1440, 30, 'Minutes without an invocation of a scheduled function that raise it; three runs of its schedule at least.'),
    secretAge: alarm(3650, 90, 'Days since the secret of the hub or of flow logs was changed that raise it.'),
  }).prefault({}),
  dashboard: section({
    enabled: key(z.boolean().default(true), 'A dashboard with every metric.'),
    name: key(resourceName().default('tributary'), 'Name of the dashboard; the environment is appended.'),
  }).prefault({}),
}).prefault({});
