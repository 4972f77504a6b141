"""Tiny tokenizers with real families' pipelines, and what Hugging Face tokenizers makes of awkward texts.
Usage: python make_pipelines.py OUT [NAME…] -> OUT/NAME/tokenizer.json, OUT/NAME/cases.jsonl: {"text","ids" (no specials added),"ids_special" (post-processor on),"plain" (specials' text is text),"decoded","decoded_skip"}"""
import json, os, sys
from tokenizers import Tokenizer, Regex, AddedToken, models, normalizers as N, pre_tokenizers as P, decoders as D, processors as X, trainers
CL="(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|%s| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
MARKS="(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
O200="[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
TEKKEN=O200.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?","").replace("\\p{N}{1,3}","\\p{N}")
CORPUS=["Hello world, the quick brown fox doesn't jump over 12345 lazy dogs.\n\nIt's 3.14159!","안녕하세요. 한국어 문장을 토큰으로 나눕니다. 대한민국의 수도는 서울입니다.","def f(x):\n\treturn  x+1  # comment\r\n","日本語と中文 mixed 😀👍🏽 emoji café naïve","\u1112\u1161\u11ab\u1100\u1173\u11af NFD 자모","user assistant system Question Answer: 서울 부산 2024년 11월"]*3
TEXTS=["","a"," a","  a","a ","a  b","Hello world","Hello  world\n\n\nX","I'LL don't WE'RE","12345 6 1234567","3.14e-10","안녕하세요","안녕 하세요.","안녕하세요. 한국어 GPT-2 입니다.😤:)l^o","\u1112\u1161\u11ab\u1100\u1173\u11af","cafe\u0301 café ﬁ ① Ａ","😀👍🏽👨‍👩‍👧","\t\tx\r\n","▁▁under▁","<0x41>","<s>hi</s>","<|user|>\n안녕<|end|>\n","<|user|>   x","x<|end|>y","\u00a0nbsp\u3000wide","\u0000\u0001","한글English혼합123가","새\n줄\n\n\n끝  ","ΑΒΓ αβγ Straße ǅ","a/b//c\n/","中文字符日本語カタカナ","क्षत्रिय","<bos>x<eos>","\ufeffBOM","\U0001d54f\U00020000"]
def alphabet(drop=()): return [ch for ch in P.ByteLevel.alphabet() if ch not in drop]
def bl(dec_prefix=True): return D.ByteLevel()
def train_bytelevel(pre,norm=None,size=900,drop=()):
    t=Tokenizer(models.BPE()); t.pre_tokenizer=pre
    if norm: t.normalizer=norm
    t.train_from_iterator(CORPUS,trainers.BpeTrainer(vocab_size=size,initial_alphabet=P.ByteLevel.alphabet(),show_progress=False,special_tokens=[]))
    j=json.loads(t.to_str())
    if drop:
        keep=[k for k,_ in sorted(j["model"]["vocab"].items(),key=lambda kv:kv[1]) if not any(ch in k for ch in drop)]
        j["model"]["vocab"]={k:i for i,k in enumerate(keep)}
        j["model"]["merges"]=[m for m in j["model"]["merges"] if not any(ch in "".join(m) for ch in drop)]
    return j
def train_spm(norm_chars=True,size=700,specials=("<unk>","<s>","</s>"),bytes_=256,nl=True):
    t=Tokenizer(models.BPE()); t.normalizer=N.Sequence([N.Prepend("▁"),N.Replace(" ","▁")])
    t.train_from_iterator(CORPUS,trainers.BpeTrainer(vocab_size=size,show_progress=False,special_tokens=list(specials)+[f"<0x{b:02X}>" for b in range(bytes_)]))
    j=json.loads(t.to_str()); return j
def seqpre(rx,behavior="isolated",invert=False): return P.Sequence([P.Split(Regex(rx),behavior,invert),P.ByteLevel(add_prefix_space=False,use_regex=False)])
def build(j,norm=None,pre=None,dec=None,post=None,**model):
    j["model"].update(model); j["added_tokens"]=[]
    j["normalizer"]=json.loads(norm.__getstate__()) if norm else None
    j["pre_tokenizer"]=json.loads(pre.__getstate__()) if pre else None
    j["decoder"]=json.loads(dec.__getstate__()) if dec else None
    j["post_processor"]=None
    t=Tokenizer.from_str(json.dumps(j))
    if post: t.post_processor=post
    return t
SPMDEC=D.Sequence([D.Replace("▁"," "),D.ByteFallback(),D.Fuse(),D.Strip(" ",1,0)])
GEMDEC=D.Sequence([D.Replace("▁"," "),D.ByteFallback(),D.Fuse()])
SPM=dict(byte_fallback=True,fuse_unk=True,unk_token="<unk>")
def tmpl(tok,bos,id_): return X.TemplateProcessing(single=f"{bos} $A",pair=f"{bos} $A {bos}:1 $B:1",special_tokens=[(bos,id_)])
def add(t,toks,**kw): t.add_special_tokens([AddedToken(x,normalized=False,special=True,**kw) for x in toks])
def make():
    r={}
    t=build(train_spm(),N.Sequence([N.Prepend("▁"),N.Replace(" ","▁")]),None,SPMDEC,tmpl(None,"<s>",1),**SPM); add(t,["<unk>","<s>","</s>"]); r["llama2"]=t
    t=build(train_spm(),None,P.Metaspace("▁","first",False),SPMDEC,tmpl(None,"<s>",1),**SPM); add(t,["<unk>","<s>","</s>"]); r["mistral_v03"]=t
    t=build(train_spm(),N.Sequence([N.Prepend("▁"),N.Replace(" ","▁")]),None,SPMDEC,None,**SPM); add(t,["<unk>","<s>"]); t.add_tokens([AddedToken("</s>",rstrip=True,normalized=False)]); add(t,["<|endoftext|>"]); add(t,["<|assistant|>","<|system|>","<|end|>","<|user|>"],rstrip=True); r["phi3"]=t
    t=build(train_spm(),N.Sequence([N.Prepend("▁"),N.Replace(" ","▁")]),None,SPMDEC,tmpl(None,"<s>",1),**SPM); t.add_special_tokens([AddedToken(x,normalized=True,special=True) for x in["<unk>","<s>","</s>"]]); r["llama2_normalized"]=t
    t=build(train_spm(specials=("<pad>","<eos>","<bos>","<unk>")),N.Replace(" ","▁"),P.Split(" ","merged_with_previous",False),GEMDEC,tmpl(None,"<bos>",2),**SPM); add(t,["<pad>","<eos>","<bos>","<unk>","<start_of_turn>","<end_of_turn>"]); t.add_tokens([AddedToken(x,normalized=False) for x in["\n\n","\n\n\n","▁▁","▁▁▁","<table>"]]); r["gemma3"]=t
    t=build(train_bytelevel(seqpre(CL%"\\p{N}"),N.NFC()),N.NFC(),seqpre(CL%"\\p{N}"),D.ByteLevel(),X.ByteLevel(trim_offsets=False),continuing_subword_prefix="",end_of_word_suffix=""); add(t,["<|endoftext|>","<|im_start|>","<|im_end|>"]); t.add_tokens([AddedToken("<think>",normalized=False),AddedToken("</think>",normalized=False)]); r["qwen3"]=t
    t=build(train_bytelevel(seqpre(MARKS),N.NFC()),N.NFC(),seqpre(MARKS),D.ByteLevel(),X.ByteLevel(trim_offsets=False)); add(t,["<|endoftext|>","<|im_start|>","<|im_end|>"]); r["qwen3_5"]=t
    j=train_bytelevel(seqpre(CL%"\\p{N}{1,3}")); n=len(j["model"]["vocab"]); j["model"]["vocab"][" Hello".replace(" ","Ġ")+"world"]=n; j["model"]["vocab"]["ĠxyzzyQ"]=n+1
    t=build(j,None,seqpre(CL%"\\p{N}{1,3}"),D.ByteLevel(),None,ignore_merges=True); add(t,["<|begin_of_text|>","<|end_of_text|>","<|eot_id|>","<|start_header_id|>","<|end_header_id|>"])
    t.post_processor=X.Sequence([X.ByteLevel(trim_offsets=False),tmpl(None,"<|begin_of_text|>",t.token_to_id("<|begin_of_text|>"))]); r["llama3"]=t
    t=build(train_bytelevel(seqpre(CL%"\\p{N}{1,3}","removed",True)),None,seqpre(CL%"\\p{N}{1,3}","removed",True),D.ByteLevel(),None); add(t,["<|endoftext|>","<|im_start|>","<|im_sep|>","<|im_end|>"],lstrip=True,rstrip=True); r["phi4"]=t
    t=build(train_bytelevel(seqpre(O200)),None,seqpre(O200),D.ByteLevel(),None,ignore_merges=True); r["o200k"]=t
    t=build(train_bytelevel(seqpre(TEKKEN)),None,seqpre(TEKKEN),D.ByteLevel(),None,ignore_merges=True); r["tekken"]=t
    dg=P.Sequence([P.Digits(True),P.ByteLevel(add_prefix_space=False,use_regex=True)])
    al=sorted(P.ByteLevel.alphabet())
    drop=[ch for ch in al if ch in "ĀāĂăĄąĆćĈĉČčĎď"][:8]
    drop=[d for d in drop if d not in "ĉĊč"]
    t=build(train_bytelevel(dg,drop=drop),None,dg,D.ByteLevel(),None); add(t,["<|endoftext|>","<|im_start|>","<|im_end|>"]); r["smollm2_partial"]=t
    t=build(train_bytelevel(dg,N.NFKC()),N.NFKC(),dg,D.ByteLevel(),X.ByteLevel(trim_offsets=False)); add(t,["[BOS]","[|endofturn|]","[|user|]"]); r["exaone3_5"]=t
    t0=Tokenizer(models.BPE()); t0.normalizer=N.NFKC(); t0.pre_tokenizer=P.Metaspace("▁","always",True)
    t0.train_from_iterator(CORPUS,trainers.BpeTrainer(vocab_size=500,show_progress=False,special_tokens=["<s>","</s>","<usr>","<pad>","<sys>","<unk>","<mask>","<d>","</d>"]))
    j=json.loads(t0.to_str()); t=build(j,N.NFKC(),P.Metaspace("▁","always",True),D.Metaspace("▁","always",True),None,unk_token="<unk>",fuse_unk=False); add(t,["<s>","</s>","<usr>","<pad>","<sys>","<unk>","<mask>"]); r["kogpt2_like"]=t
    DS=[r"\p{N}{1,3}","[一-龥぀-ゟ゠-ヿ]+",r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
    splits=lambda *rx: P.Sequence([*(P.Split(Regex(x),"isolated",False) for x in rx),P.ByteLevel(add_prefix_space=False,use_regex=False)])
    # Trained uncut, so that merges lie across the places where words are cut.
    uncut=P.ByteLevel(add_prefix_space=False,use_regex=False)
    t=build(train_bytelevel(uncut),None,splits(*DS),D.ByteLevel(),None); r["deepseek"]=t
    t=build(train_bytelevel(uncut),None,splits(DS[1],CL%"\\p{N}"),D.ByteLevel(),None); r["ax"]=t
    t=build(train_bytelevel(uncut),None,seqpre(O200,"removed",True),D.ByteLevel(),None); r["o200k_uncut"]=t
    t=build(train_bytelevel(uncut),None,seqpre(TEKKEN),D.ByteLevel(),None); r["tekken_uncut"]=t
    t=build(train_bytelevel(uncut,N.NFC()),N.NFC(),seqpre(MARKS),D.ByteLevel(),None); r["marks_uncut"]=t
    return r
if __name__=="__main__":
    for name,t in make().items():
        if sys.argv[2:] and name not in sys.argv[2:]: continue
        d=os.path.join(sys.argv[1],name); os.makedirs(d,exist_ok=True); t.save(os.path.join(d,"tokenizer.json"))
        p=Tokenizer.from_file(os.path.join(d,"tokenizer.json")); p.encode_special_tokens=True
        with open(os.path.join(d,"cases.jsonl"),"w",encoding="utf-8") as f:
            for x in TEXTS:
                a=t.encode(x,add_special_tokens=False).ids; b=t.encode(x).ids
                f.write(json.dumps({"text":x,"ids":a,"ids_special":b,"plain":p.encode(x,add_special_tokens=False).ids,"decoded":t.decode(a,skip_special_tokens=False),"decoded_skip":t.decode(b)},ensure_ascii=False)+"\n")
        print(name,t.get_vocab_size(),t.encode("<|user|>\n안녕<|end|>\n",add_special_tokens=False).tokens[:12])
