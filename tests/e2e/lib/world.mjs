// Where everything is: what `install` has put into the cluster, found by its names there.
import { Api } from './api.mjs';
import { kubectl, secret } from './kubectl.mjs';
import { reach } from './reach.mjs';
import { tokenOf } from './token.mjs';

export class World {
  namespace = 'whatsapp-system';
  operatorName = 'whatsapp-operator';
  apiName = 'whatsapp-api';

  static async open() {
    const world = new World();
    world.secret = await secret(world.namespace, 'whatsapp-credentials', 'jwt-secret');
    world.apiRoute = await reach(world.namespace, world.apiName, 3001);
    world.controlRoute = await reach('whatsapp-simulator', 'simulator', 8081);
    return world;
  }

  /** The API's address. */
  get url() {
    return this.apiRoute.url;
  }

  /** The address at which phones are played. */
  get control() {
    return this.controlRoute.url;
  }

  token(company, options) {
    return tokenOf(this.secret, company, options);
  }

  api(company) {
    return new Api(this.url, this.token(company));
  }

  /** The keys and the user of a connection in Redis. */
  async redisOf(id) {
    const ask = (...command) =>
      kubectl('exec', '--namespace', this.namespace, 'whatsapp-redis-0', '--', 'sh', '-c', REDIS, 'sh', ...command);
    const keys = await ask('--scan', '--pattern', `wa:{${id}}:*`);
    const users = await ask('ACL', 'USERS');
    return [...keys.split('\n'), ...users.split('\n')].filter((name) => name.includes(id));
  }

  /** How many rows PostgreSQL has of a connection; asked as the superuser, from whom row-level security hides nothing. */
  async rowsOf(id) {
    const tables = ['cursors', 'chats', 'messages', 'events', 'dead_letters'];
    const counts = tables.map((table) => `(SELECT count(*) FROM ${table} WHERE connection_id = '${id}')`);
    const query = `SELECT ${counts.join(' + ')}`;
    const text = await kubectl('exec', '--namespace', this.namespace, 'whatsapp-postgresql-0', '--', 'psql', '--username', 'postgres', '--dbname', 'whatsapp', '--tuples-only', '--no-align', '--command', query);
    return Number(text);
  }

  close() {
    this.apiRoute.close();
    this.controlRoute.close();
  }
}

const REDIS = 'REDISCLI_AUTH="$(cat /run/secrets/redis/redis-password)" exec redis-cli --no-auth-warning "$@"';
