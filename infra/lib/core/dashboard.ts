// A dashboard of every metric in the list, over all integrations: what is added to the list is on it.
import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import type { Config } from '../config/schema';
import { LIST, type ListedMetric, statistic } from '../framework/metrics';
import type { WatchedQueue } from './alarms';

const PERIOD = Duration.minutes(5);
const WIDTH = 8;

/** One line for each integration, and for each value of the metric's label. */
function ofList(metric: ListedMetric, region: string): cloudwatch.GraphWidget {
  const dimensions = [LIST.namespace, LIST.dimension, ...(metric.label ? [metric.label] : [])].join(',');
  const expression = `SEARCH('{${dimensions}} MetricName="${metric.name}"', '${statistic(metric)}', ${PERIOD.toSeconds()})`;
  return new cloudwatch.GraphWidget({
    title: `${metric.name}: ${metric.description}`,
    width: WIDTH,
    region,
    left: [new cloudwatch.MathExpression({ expression, usingMetrics: {}, label: '', period: PERIOD })],
    leftYAxis: { min: 0, label: metric.unit, showUnits: false },
  });
}

/** Makes the dashboard. */
export function dashboard(scope: Construct, config: Config, queues: WatchedQueue[]): void {
  const made = new cloudwatch.Dashboard(scope, 'Dashboard', {
    dashboardName: `${config.monitoring.dashboard.name}-${config.environment}`,
    defaultInterval: Duration.days(1),
  });
  const of = { period: PERIOD, statistic: 'Maximum' };
  const ofQueues = queues.map(({ what, queue, deadLetters }) => new cloudwatch.GraphWidget({
    title: `${what}: waiting, dead letters, age of the oldest`,
    width: WIDTH,
    region: config.awsRegion,
    left: [queue.metricApproximateNumberOfMessagesVisible(of), deadLetters.metricApproximateNumberOfMessagesVisible(of)],
    right: [queue.metricApproximateAgeOfOldestMessage(of)],
  }));
  const widgets = [...ofQueues, ...LIST.metrics.map((metric) => ofList(metric, config.awsRegion))];
  for (let row = 0; row < widgets.length; row += 3) made.addWidgets(...widgets.slice(row, row + 3));
}
