// Alarms that functions have in common.
import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Config } from '../config/schema';
import type { TributaryFunction } from './function';
import type { HealthAlarm } from './integration-module';

const PERIOD = Duration.minutes(5);

/** Too many of a function's invocations fail. */
export function failing(name: string, fn: TributaryFunction, alarms: Config['monitoring']['alarms']): HealthAlarm[] {
  if (!alarms.errorRate.enabled) return [];
  return [{
    name: `${name}Errors`,
    description: `At least ${alarms.errorRate.threshold} % of the invocations of ${name} fail.`,
    metric: new cloudwatch.MathExpression({
      expression: 'IF(invocations > 0, 100 * errors / invocations, 0)',
      usingMetrics: {
        errors: fn.function.metricErrors({ period: PERIOD }),
        invocations: fn.function.metricInvocations({ period: PERIOD }),
      },
      period: PERIOD,
      label: 'failed invocations, percent',
    }),
    threshold: alarms.errorRate.threshold,
  }];
}

/** Minutes between two runs of rate(); undefined for cron(), which may be anything. */
export function minutesBetween(schedule: string): number | undefined {
  const [, number, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(schedule) ?? [];
  return number === undefined ? undefined : Number(number) * { minute: 1, hour: 60, day: 1440 }[unit as 'minute' | 'hour' | 'day'];
}

/** A scheduled function fails, or is not invoked any more: nothing comes, and nothing else would say so. */
export function scheduled(name: string, fn: TributaryFunction, schedule: string, alarms: Config['monitoring']['alarms']): HealthAlarm[] {
  const between = minutesBetween(schedule);
  const found = failing(name, fn, alarms);
  if (!alarms.notRunning.enabled || between === undefined || between > 480) return found;
  // Three runs missed, and no period longer than a day, which is the longest that CloudWatch looks at.
  const minutes = Math.min(1440, Math.max(alarms.notRunning.threshold, 3 * between));
  return [...found, {
    name: `${name}NotRunning`,
    description: `${name} was not invoked for ${minutes} minutes.`,
    metric: fn.function.metricInvocations({ period: Duration.minutes(minutes), statistic: 'Sum' }),
    threshold: 1,
    below: true,
    treatMissingData: cloudwatch.TreatMissingData.BREACHING,
  }];
}
