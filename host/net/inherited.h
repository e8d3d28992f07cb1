/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/inherited.h - sockets that whoever has started the host has opened for it, by the
 * protocol of sd_listen_fds(3): LISTEN_FDS of them from descriptor 3 on, for the process
 * LISTEN_PID, with the names LISTEN_FDNAMES. An address fd:NAME (conf/listen.h) takes those of its
 * name, any other one those that are bound to it, since it could not be bound again; what nobody
 * takes is closed. Their files are whoever's opened them: the host removes none.
 *
 * One of the process, as its descriptors are. Threads: [main].
 */
#ifndef HOST_NET_INHERITED_H
#define HOST_NET_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"
#include "conf/conf.h"

#define INHERITED_MAX 64u

/**
 * See what there is; none of it goes on to children. Before the process opens anything: of what the
 * environment says and is not there, the numbers would soon be those of descriptors of its own.
 * @return 0; -1 with *reterr: it is not as it should be
 */
int inherited_open(struct error *reterr);
/**
 * Take the next of a name.
 * @param type  SOCK_STREAM, which has to listen, or SOCK_DGRAM
 * @return a descriptor, the caller's; -1: there is none; -2: one that cannot be used, with *reterr
 */
int inherited_take(const char *name, int type, struct error *reterr);
/**
 * Take one that is bound to this very address, whatever its name is.
 * @return as inherited_take()
 */
int inherited_take_bound(const struct sockaddr *sa, int type, struct error *reterr);
/** The name of one that has this address's port, of whichever address; NULL: there is none. */
const char *inherited_holder(const struct sockaddr *sa, int type);
/** Say what is wrong where inherited_take() found none: which names there are. */
void inherited_explain(const char *name, struct error *reterr);
/** Close what nobody has taken, with a warning. */
void inherited_close_rest(void);
/**
 * Sockets with the names spop, log and admin, which are those of the units that are installed with
 * the host, are for listen, log-listen and admin: where nobody sets these, they say fd:NAME. The
 * same for all of the process's life, so that a reading while it runs finds what the first one did.
 */
void inherited_offer(struct conf *conf);

#endif
