// The functions' metrics, from infra/generated/metrics.json, which is generated from the functions' own code.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { suggestion } from '../config/judge';

/** One metric as the list has it. */
export interface ListedMetric {
  readonly name: string;
  readonly description: string;
  readonly kind: 'counter' | 'gauge';
  readonly unit: string;
  readonly label: string | null;
}

interface List { readonly namespace: string; readonly dimension: string; readonly metrics: ListedMetric[] }

/** The list: the namespace, the dimension that every metric has, and the metrics. */
export const LIST = JSON.parse(readFileSync(join(__dirname, '../../generated/metrics.json'), 'utf8')) as List;

/** How values of a period become one: counters add up, of a gauge the highest counts. */
export const statistic = (listed: ListedMetric) => (listed.kind === 'counter' ? 'Sum' : 'Maximum');

/** A metric of an instance. A name that is not in the list is an error: an alarm on it would never go off. */
export function metric(name: string, instanceId: string, period: Duration): cloudwatch.Metric {
  const listed = LIST.metrics.find((one) => one.name === name);
  if (!listed) {
    throw new Error(`infra/generated/metrics.json has no metric ${name}${suggestion(name, LIST.metrics.map((one) => one.name))}`);
  }
  return new cloudwatch.Metric({
    namespace: LIST.namespace, metricName: name, dimensionsMap: { [LIST.dimension]: instanceId }, period, statistic: statistic(listed),
  });
}
