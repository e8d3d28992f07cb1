// SPDX-License-Identifier: Apache-2.0
// A stranger's plugin, in C++11. Exceptions end inside it.
#include <new>
#include <string>

#include <spoe/plugin.h>
#include <spoe/util.h>

namespace
{

struct Instance {
    const spoe_host *host;
    std::string word;
};

const spoe_option word = {sizeof(spoe_option), SPOE_OPT_STRING, 0,       0, "word", "plus plus",
                          "what to answer",    nullptr,         nullptr, 0, 0,      nullptr};
const spoe_option *const options[] = {&word, nullptr};
const spoe_arg_decl *const args[] = {nullptr};
const spoe_message_decl message = {
    sizeof(spoe_message_decl), 0,   "consumer-cxx", "on-frontend-http-request",
    "answers a word",          args};
const spoe_message_decl *const messages[] = {&message, nullptr};

spoe_status configure(const spoe_host *host, spoe_instance *, spoe_config *cfg, void **ret_inst)
{
    const spoe_setting *setting = host->config_get(cfg, 0);
    try {
        *ret_inst = new Instance{host, std::string(setting->raw.p, setting->raw.n)};
    } catch (const std::bad_alloc &) {
        return SPOE_E_NOMEM;
    }
    return SPOE_OK;
}

spoe_status handle(void *wctx, spoe_request *req, const spoe_message *)
{
    const Instance *inst = static_cast<const Instance *>(wctx);
    spoe_value v = spoe_value_str(spoe_span{inst->word.data(), inst->word.size()});
    return inst->host->set_var(req, SPOE_SCOPE_TXN, spoe_str("consumer_cxx"), &v);
}

void destroy(void *inst)
{
    delete static_cast<Instance *>(inst);
}

spoe_plugin make_plugin()
{
    spoe_plugin p = {};
    p.magic = SPOE_PLUGIN_MAGIC;
    p.size = sizeof p;
    p.abi_major = SPOE_ABI_MAJOR;
    p.abi_minor = SPOE_ABI_MINOR;
    p.id = "consumer-cxx";
    p.version = "7.0";
    p.help = "a stranger's plugin in C++";
    p.messages = messages;
    p.options = options;
    p.configure = configure;
    p.handle = handle;
    p.destroy = destroy;
    return p;
}
const spoe_plugin plugin = make_plugin();

} // namespace

const spoe_plugin *spoe_plugin_entry_v1()
{
    return &plugin;
}
