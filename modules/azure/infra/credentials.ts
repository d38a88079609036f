// Who the functions are at Azure: a secret with placeholders until it is filled, one that is there already, or none at all.
import { type CoreResources, type Target, acknowledge } from '@tributary/infra';
import { Aws, SecretValue, Stack } from 'aws-cdk-lib';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { AzureConfig } from './schema';

/** What a function is told of its credentials, and what its role needs for them. */
export interface Credentials {
  readonly variables: Record<string, string | undefined>;
  readonly feature: 'secret' | 'federated';
  readonly target: Target;
  /** Name of the secret, where there is one. */
  readonly secretName?: string;
}

/** The role's own token: settings in place of a secret. */
export function federated(config: AzureConfig): Credentials | undefined {
  const { method, federated: settings } = config.authentication;
  if (method !== 'federated' || !settings) return undefined;
  return { variables: { ...settings, AZURE_AUTHENTICATION: 'federated' }, feature: 'federated', target: { arns: [] } };
}

/** A secret of this instance. */
export class CredentialsSecret extends Construct implements Credentials {
  readonly variables: Record<string, string>;
  readonly feature = 'secret';
  readonly target: Target;
  readonly secretName: string;

  constructor(scope: Construct, id: string, core: CoreResources, props: {
    /** The variable that names it to the function. */
    variable: string;
    /** Whole name of one that is there already. */
    existing: string | undefined;
    /** The last part of the name of one that is made. */
    base: string;
    settings: AzureConfig['secretsManager']['eventHubSecret'];
    placeholders: Record<string, string>;
  }) {
    super(scope, id);
    const { settings } = props;
    if (props.existing !== undefined) {
      this.secretName = props.existing;
      const { account, region } = Stack.of(this);
      // Secrets Manager appends a dash and six characters to a secret's name.
      this.target = { arns: [`arn:${Aws.PARTITION}:secretsmanager:${region}:${account}:secret:${props.existing}-??????`] };
    } else {
      this.secretName = core.named('secret', settings.secretName ?? `${core.instanceId}-${props.base}`);
      const secret = new secretsmanager.Secret(this, 'Secret', {
        secretName: this.secretName,
        description: settings.description,
        secretStringValue: SecretValue.unsafePlainText(JSON.stringify(settings.secretTemplate ?? props.placeholders)),
        removalPolicy: core.removalPolicy,
        ...(core.sharedKey ? { encryptionKey: core.sharedKey } : {}),
      });
      acknowledge(secret, { 'AwsSolutions-SMG4': 'Azure issues what it holds: configure-secrets-manager.sh replaces it, an alarm tells its age' });
      // The ARN, as a reference is too; not every emulator knows that of a reference.
      this.target = { arns: [(secret.node.defaultChild as secretsmanager.CfnSecret).attrId] };
    }
    this.variables = { [props.variable]: this.secretName };
  }
}
