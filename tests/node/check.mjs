// Drives a gateway with the official Node SDK. GUIJU_URL and GUIJU_KEY say where it is; prints one line for each check.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.GUIJU_URL, apiKey: process.env.GUIJU_KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "北京天气怎么样？" }];
const text = "今天天气很好，适合出门。";
const label = "\n\n（AI 生成）";
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];

const checks = {
  async "a chat with its label and request id"() {
    const answer = await client.chat.completions.create({ model: "sdk", messages });
    assert.equal(answer.choices[0].message.content, text + label);
    assert.equal(answer.aigc.ProduceID, answer._request_id);
  },
  async "a stream"() {
    let joined = "";
    let finish = "";
    for await (const chunk of await client.chat.completions.create({ model: "sdk", messages, stream: true })) {
      joined += chunk.choices[0]?.delta?.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.equal(joined, text + label);
    assert.equal(finish, "stop");
  },
  async "the stream helper"() {
    const stream = client.chat.completions.stream({ model: "sdk", messages, n: 2, stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    assert.deepEqual(final.choices.map((choice) => choice.message.content), [text + label, "第2种说法。" + label]);
    assert.equal((await stream.totalUsage()).total_tokens, 8);
  },
  async "parallel tool calls, streamed"() {
    const final = await client.chat.completions.stream({ model: "sdk", messages, tools }).finalChatCompletion();
    const calls = final.choices[0].message.tool_calls;
    assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments).city), ["北京", "上海"]);
    assert.deepEqual(calls.map((call) => call.id), ["call_1", "call_2"]);
  },
  async "calls, one after the other, each complete and told once"() {
    const stream = client.chat.completions.stream({ model: "turn", messages, tools });
    const done = [];
    const words = [];
    stream.on("tool_calls.function.arguments.done", (call) => done.push([call.index, JSON.parse(call.arguments).city]));
    stream.on("content.done", ({ content }) => words.push(content));
    await stream.finalChatCompletion();
    assert.deepEqual(done, [[0, "北京"], [1, "上海"]]);
    assert.deepEqual(words, ["我来查，不赌"]);
  },
  async "every piece has a choice to read, and the last label counts"() {
    let joined = "";
    for await (const chunk of await client.chat.completions.create({ model: "held", messages, stream: true })) {
      joined += chunk.choices[0].delta.content ?? "";
    }
    assert.equal(joined, "好，不赌球。也不赌马" + label);
    const final = await client.chat.completions.stream({ model: "sdk", messages }).finalChatCompletion();
    assert.deepEqual([final.aigc.explicit, final.aigc.explicit_required], ["suffix", false]);
  },
  async "log probabilities"() {
    const answer = await client.chat.completions.create({ model: "sdk", messages, logprobs: true });
    assert.equal(answer.choices[0].logprobs.content.map((entry) => entry.token).join(""), text);
  },
  async "JSON mode stays JSON"() {
    const answer = await client.chat.completions.create({ model: "sdk", messages, response_format: { type: "json_object" } });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), { city: "北京", degrees: 21 });
  },
  async "the list of models"() {
    const listed = [];
    for await (const model of client.models.list()) listed.push(model.id);
    assert.ok(listed.includes("listed"));
  },
  async "a stopped stream"() {
    let joined = "";
    let retraction = null;
    let finish = "";
    for await (const chunk of await client.chat.completions.create({ model: "strays", messages, stream: true })) {
      joined += chunk.choices[0]?.delta?.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      retraction = chunk.retraction ?? retraction;
    }
    assert.equal(finish, "content_filter");
    assert.ok(!joined.includes("赌博"));
    assert.ok(joined.includes(retraction.replace_with));
  },
  async "errors are the SDK's own"() {
    const wrong = client.withOptions({ apiKey: "sk-wrong" });
    await assert.rejects(wrong.chat.completions.create({ model: "sdk", messages }), OpenAI.AuthenticationError);
    const refused = [{ role: "user", content: "赌博" }];
    await assert.rejects(client.chat.completions.create({ model: "sdk", messages: refused }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.code, "input_refused");
      assert.ok(error.requestID);
      return true;
    });
    await assert.rejects(client.chat.completions.create({ model: "refuse_429", messages }), OpenAI.RateLimitError);
    await assert.rejects(client.chat.completions.create({ model: "refuse_500", messages, stream: true }), OpenAI.InternalServerError);
  },
  async "an error in the middle of a stream"() {
    await assert.rejects(async () => {
      for await (const chunk of await client.chat.completions.create({ model: "error_middle", messages, stream: true })) void chunk;
    }, OpenAI.APIError);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok ${name}`);
}
