/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/plugin_check.c - spoe-plugin-check: whether a plugin keeps to the rules of spoe/plugin.h.
 *
 * Each scenario (check/scenario.h) runs in a process of its own, which is this program again, so
 * that a plugin that crashes, calls exit() or never comes back is one that breaks a rule. What the
 * process says on one descriptor are the rules that are broken; its log is shown where some are.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spoe/plugin.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/crash.h"
#include "check/rules.h"
#include "check/scenario.h"

#define REPORT_FD 3
#define SCENARIO_NS (90 * NS_PER_S) /* beyond all of its own limits */
#define ALLOCATIONS_MAX 48u         /* that are made to fail, one in each process */
#define REPORT_MAX 16384u
#define LOG_SHOWN 4096 /* bytes of a log, its end */
#define ARGS_MAX (4 * CHECK_LIST_MAX)
#define NUMBER_MAX 12

extern char **environ;

struct program {
    struct check check;
    bool verbose;
    bool is_child;
    bool is_left_out[N_SCENARIOS];
    enum scenario scenario; /* of a child */
    unsigned nth;
    char **argv;
    int argc;
};

/* What became of a child. */
struct outcome {
    char report[REPORT_MAX]; /* its lines */
    size_t n;
    int status; /* as waitpid() has it */
    bool late;
    int log_fd; /* what it wrote to standard error */
};

/* ---- a scenario ---- */

/* @return 0; an errno */
static int spawn(const struct program *p, enum scenario scenario, unsigned nth, int report,
                 int log_fd, pid_t *ret)
{
    static char name[] = "--scenario", nth_name[] = "--nth";
    char number[NUMBER_MAX], *argv[ARGS_MAX + 8];
    posix_spawn_file_actions_t actions;
    int n = 0, error;

    (void)snprintf(number, sizeof number, "%u", nth);
    argv[n++] = p->argv[0];
    argv[n++] = name;
    argv[n++] = (char *)(uintptr_t)scenario_name(scenario);
    argv[n++] = nth_name;
    argv[n++] = number;
    for (int i = 1; i < p->argc && n < ARGS_MAX; i++)
        argv[n++] = p->argv[i];
    argv[n] = NULL;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, log_fd, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, log_fd, STDERR_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, report, REPORT_FD);
    error = posix_spawn(ret, "/proc/self/exe", &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Until its end, or until it is too late. */
static void read_report(int fd, pid_t pid, struct outcome *ret)
{
    const int64_t deadline_ns = clock_mono_ns() + SCENARIO_NS;
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    for (;;) {
        const int64_t left_ns = deadline_ns - clock_mono_ns();
        ssize_t n;

        if (left_ns <= 0) {
            ret->late = true;
            (void)kill(pid, SIGKILL);
            break;
        }
        if (poll(&pfd, 1, (int)(left_ns / NS_PER_MS) + 1) <= 0)
            continue;
        n = read(fd, ret->report + ret->n, sizeof ret->report - 1 - ret->n);
        if (n <= 0)
            break;
        ret->n += (size_t)n;
    }
    ret->report[ret->n] = '\0';
    while (waitpid(pid, &ret->status, 0) < 0 && errno == EINTR) {
    }
}

/* @return 0; an errno */
static int run(const struct program *p, enum scenario scenario, unsigned nth, struct outcome *ret)
{
    int pipe_fds[2], error;
    pid_t pid;

    *ret = (struct outcome){.log_fd = memfd_create("log", MFD_CLOEXEC)};
    if (ret->log_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) != 0)
        return errno;
    /* A descriptor that is its own copy would be closed: those of ours are above. */
    error = spawn(p, scenario, nth, pipe_fds[1], ret->log_fd, &pid);
    (void)close(pipe_fds[1]);
    if (error == 0)
        read_report(pipe_fds[0], pid, ret);
    (void)close(pipe_fds[0]);
    return error;
}

/* ---- what is said ---- */

static void print_log(const struct outcome *o)
{
    char text[LOG_SHOWN + 1], *p = text;
    const off_t size = lseek(o->log_fd, 0, SEEK_END);
    const off_t from = size > LOG_SHOWN ? size - LOG_SHOWN : 0;
    const ssize_t n = pread(o->log_fd, text, LOG_SHOWN, from);

    text[n > 0 ? n : 0] = '\0';
    for (char *line; (line = strsep(&p, "\n")) != NULL;) {
        if (line[0] != '\0')
            (void)printf("        | %s\n", line);
    }
}

static enum rule rule_of(const char *line, size_t n)
{
    enum rule rule = RULE_load;

    while (rule < N_RULES &&
           !(strlen(rule_name(rule)) == n && memcmp(rule_name(rule), line, n) == 0))
        rule++;
    return rule;
}

static void print_broken(enum rule rule, enum scenario scenario, const char *text)
{
    (void)printf("broken  %s: %s\n        in scenario %s (%s): %s\n", rule_name(rule),
                 rule_text(rule), scenario_name(scenario), scenario_text(scenario), text);
}

/* Signals and exit statuses of a child that did not come to its end. */
static void print_end(const struct outcome *o, enum scenario scenario)
{
    char text[128];

    if (o->late)
        (void)snprintf(text, sizeof text, "the process does not end");
    else if (WIFSIGNALED(o->status))
        (void)snprintf(text, sizeof text, "the process ends by signal %d, %s", WTERMSIG(o->status),
                       strsignal(WTERMSIG(o->status)));
    else
        (void)snprintf(text, sizeof text, "the process ends with status %d",
                       WEXITSTATUS(o->status));
    print_broken(o->late                       ? RULE_returns
                 : scenario == SCENARIO_memory ? RULE_memory
                                               : RULE_alive,
                 scenario, text);
}

/* @return whether a rule was broken; *ret_failed: an allocation has been made to fail */
static bool judge(struct outcome *o, enum scenario scenario, bool *ret_failed)
{
    bool broken = false, done = false, came_back = true;
    char *p = o->report;

    for (char *line; (line = strsep(&p, "\n")) != NULL;) {
        const size_t n = strcspn(line, " ");
        const enum rule rule = rule_of(line, n);

        if (strcmp(line, "done") == 0)
            done = true;
        else if (strcmp(line, "failed") == 0)
            *ret_failed = true;
        else if (rule != N_RULES) {
            print_broken(rule, scenario, line[n] != '\0' ? line + n + 1 : "");
            broken = true;
            came_back = came_back && rule != RULE_returns;
        }
    }
    if (!done && came_back) {
        print_end(o, scenario);
        broken = true;
    }
    /* After its end: what a sanitizer finds there. */
    if (done && (!WIFEXITED(o->status) || WEXITSTATUS(o->status) != 0)) {
        print_end(o, scenario);
        broken = true;
    }
    return broken;
}

/* @return 1 a rule was broken; 0; -1 it could not be run */
static int try_scenario(const struct program *p, enum scenario scenario, unsigned nth,
                        bool *ret_failed)
{
    static struct outcome o; /* large */
    const int error = run(p, scenario, nth, &o);
    bool broken;

    *ret_failed = false;
    if (error != 0) {
        (void)fprintf(stderr, "spoe-plugin-check: %s\n", strerror(error));
        return -1;
    }
    broken = judge(&o, scenario, ret_failed);
    if (broken || p->verbose)
        print_log(&o);
    (void)close(o.log_fd);
    (void)fflush(stdout);
    return broken;
}

/* One allocation after the other, as long as there are some. */
static int try_memory(const struct program *p)
{
    bool failed = true;
    int result = 0;

    for (unsigned nth = 1; nth <= ALLOCATIONS_MAX && failed && result == 0; nth++)
        result = try_scenario(p, SCENARIO_memory, nth, &failed);
    return result;
}

static int try_all(const struct program *p)
{
    bool left_out = false;

    for (enum scenario s = SCENARIO_load; s < N_SCENARIOS; s++) {
        bool failed;
        int result;

        if (p->is_left_out[s]) {
            (void)printf("not run %s (%s)\n", scenario_name(s), scenario_text(s));
            left_out = true;
            continue;
        }
        result = s == SCENARIO_memory ? try_memory(p) : try_scenario(p, s, 0, &failed);

        /* What comes after it would say the same. */
        if (result != 0) {
            (void)printf("%s breaks a rule\n", p->check.file);
            return 1;
        }
        (void)printf("good    %s (%s)\n", scenario_name(s), scenario_text(s));
        (void)fflush(stdout);
    }
    (void)printf("%s keeps all rules%s\n", p->check.file, left_out ? " that were tried" : "");
    return 0;
}

/* ---- the command line ---- */

static void help(void)
{
    (void)puts("spoe-plugin-check: whether a plugin keeps to the rules of <spoe/plugin.h>\n"
               "\n"
               "  spoe-plugin-check [OPTION ...] FILE.so [SCRIPT]\n"
               "\n"
               "SCRIPT has a message in each line, as for spoe-host --try-file. Without one each\n"
               "message is tried that the plugin declares.\n"
               "\n"
               "  -f FILE               read options from an INI file, as spoe-host does\n"
               "  --set ID.KEY=VALUE    set an option of the plugin\n"
               "  --library NAME        threads whose names begin so, and descriptors of such\n"
               "                        files, are a library's, and may be left\n"
               "  --without SCENARIO    leave it out, such as memory\n"
               "  --trust-any           as plugin-trust = any\n"
               "  -v, --verbose         show the log of every scenario\n"
               "      --rules           what is checked\n"
               "      --version, --help\n"
               "\n"
               "The status is 0 where all rules are kept, and 1 where one is broken.");
}

static void print_rules(void)
{
    for (enum rule r = RULE_load; r < N_RULES; r++)
        (void)printf("%-12s %s\n", rule_name(r), rule_text(r));
}

static int usage(const char *what, const char *word)
{
    (void)fprintf(stderr, "spoe-plugin-check: %s %s (see --help)\n", what, word);
    return -1;
}

static int add_to(const char **list, const char *word)
{
    size_t n = 0;

    while (list[n] != NULL)
        n++;
    if (n == CHECK_LIST_MAX)
        return usage("too many options:", word);
    list[n] = word;
    return 0;
}

/* @return 0; -1 told */
static int find_scenario(const char *name, enum scenario *ret)
{
    for (*ret = SCENARIO_load; *ret < N_SCENARIOS; ++*ret) {
        if (strcmp(scenario_name(*ret), name) == 0)
            return 0;
    }
    return usage("no scenario", name);
}

static int take_scenario(struct program *p, const char *name)
{
    p->is_child = true;
    return find_scenario(name, &p->scenario);
}

static int leave_out(struct program *p, const char *name)
{
    enum scenario scenario;

    if (find_scenario(name, &scenario) != 0)
        return -1;
    p->is_left_out[scenario] = true;
    return 0;
}

static int take_number(const char *value, unsigned *ret)
{
    for (const char *p = value; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || p - value > 4)
            return usage("no number:", value);
        *ret = *ret * 10 + (unsigned)(*p - '0');
    }
    return 0;
}

static int take_valued(struct program *p, const char *word, const char *value)
{
    if (strcmp(word, "--set") == 0)
        return add_to(p->check.sets, value);
    if (strcmp(word, "--library") == 0)
        return add_to(p->check.libraries, value);
    if (strcmp(word, "--without") == 0)
        return leave_out(p, value);
    if (strcmp(word, "--scenario") == 0)
        return take_scenario(p, value);
    if (strcmp(word, "--nth") == 0)
        return take_number(value, &p->nth);
    p->check.conf_file = value;
    return 0;
}

static bool takes_value(const char *word)
{
    static const char *const words[] = {"-f",        "--file",     "--set", "--library",
                                        "--without", "--scenario", "--nth"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], word) == 0)
            return true;
    }
    return false;
}

/* @return 0 go on; 1 all is said; -1 told */
static int parse(struct program *p)
{
    for (int i = 1; i < p->argc; i++) {
        const char *word = p->argv[i];

        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return help(), 1;
        if (strcmp(word, "--rules") == 0)
            return print_rules(), 1;
        if (strcmp(word, "--version") == 0)
            return printf("spoe-plugin-check %s, commit %s, plugin ABI %d.%d\n", build_version,
                          build_commit, SPOE_ABI_MAJOR, SPOE_ABI_MINOR) < 0
                       ? -1
                       : 1;
        if (takes_value(word)) {
            if (i + 1 == p->argc)
                return usage("no value behind", word);
            if (take_valued(p, word, p->argv[++i]) != 0)
                return -1;
        } else if (strcmp(word, "--trust-any") == 0) {
            p->check.trust_any = true;
        } else if (strcmp(word, "--verbose") == 0 || strcmp(word, "-v") == 0) {
            p->verbose = true;
        } else if (word[0] == '-') {
            return usage("unknown option", word);
        } else if (p->check.file == NULL) {
            p->check.file = word;
        } else if (p->check.script == NULL) {
            p->check.script = word;
        } else {
            return usage("unexpected", word);
        }
    }
    return p->check.file != NULL ? 0 : usage("which", "plugin?");
}

/* @return the exit status */
static int check_file(struct program *p)
{
    char *path = realpath(p->check.file, NULL);
    int result = 1;

    if (path == NULL) {
        (void)fprintf(stderr, "spoe-plugin-check: %s: %s\n", p->check.file, strerror(errno));
    } else if (p->is_child) {
        p->check.file = path;
        result = scenario_run(&p->check, p->scenario, p->nth, REPORT_FD);
    } else {
        result = try_all(p);
    }
    free(path);
    return result;
}

int main(int argc, char **argv)
{
    static struct program p;
    int result;

    p.argc = argc;
    p.argv = argv;
    result = parse(&p);
    if (result == 0)
        result = check_file(&p);
    else
        result = result < 0;
    crash_leaving();
    return result;
}
